/**
 * winston: JSON in production, readable in a terminal. Lines for state changes, failures, start and stop; none per request
 * but for one that failed. Nothing secret is written, whoever logs it.
 */
import winston from 'winston';

export interface Log {
  error(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  debug(message: string, fields?: Record<string, unknown>): void;
}

/** A log whose level can be changed while it is written. */
export interface LeveledLog extends Log {
  level: string;
}

const mask = '***';
/** Fields named so are masked, whatever stands in them. */
const secretName = /secret|password|token|authorization/i;
const depthMax = 5;
const elementsMax = 100;

/** What looks like a secret within a text: passwords and tokens in URLs, bearer tokens, signed tokens. */
const secretTexts: readonly (readonly [RegExp, string])[] = [
  [/\b([a-z][a-z\d+.-]*:\/\/[^\s:@/]*:)[^\s@/]+@/gi, `$1${mask}@`],
  [/([?&](?:access_)?token=)[^&\s"']+/gi, `$1${mask}`],
  [/\b(bearer)\s+[\w.~+/=-]+/gi, `$1 ${mask}`],
  [/\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?/g, mask],
];

function redactText(text: string): string {
  let redacted = text;
  for (const [pattern, replacement] of secretTexts) redacted = redacted.replace(pattern, replacement);
  return redacted;
}

function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= depthMax) return '...';
  if (value instanceof Error) return redactText(value.stack ?? value.message);
  if (Array.isArray(value)) return value.slice(0, elementsMax).map((element) => redact(element, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value).slice(0, elementsMax)) copy[name] = redactField(name, field, depth);
  return copy;
}

function redactField(name: string, field: unknown, depth: number): unknown {
  const isNothing = field === undefined || field === null || typeof field === 'boolean';
  return secretName.test(name) && !isNothing ? mask : redact(field, depth + 1);
}

const redacted = winston.format((info) => {
  // Its symbols are winston's own, and stay.
  for (const [name, field] of Object.entries(info)) info[name] = redactField(name, field, 0);
  return info;
});

const readable = winston.format.printf(({ timestamp, level, message, ...fields }) => {
  const rest = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return `${timestamp} ${level} ${message}${rest}`;
});

/** `level` is winston's; JSON lines when `isJson`. `stream`: instead of standard output and standard error. */
export function createLogger(level: string, isJson: boolean, stream?: NodeJS.WritableStream): LeveledLog {
  const { Console, Stream } = winston.transports;
  return winston.createLogger({
    level,
    format: winston.format.combine(redacted(), winston.format.timestamp(), isJson ? winston.format.json() : readable),
    transports: [stream === undefined ? new Console({ stderrLevels: ['error', 'warn'] }) : new Stream({ stream })],
  });
}

/** Between `debug` and the level that was set, or `info` where that was `debug` itself. Returns the new one. */
export function toggleLevel(log: LeveledLog, configured: string): string {
  const quiet = configured === 'debug' ? 'info' : configured;
  log.level = log.level === 'debug' ? quiet : 'debug';
  return log.level;
}

/** Says nothing: for tests and tools. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} };
