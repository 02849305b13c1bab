/** winston: JSON in production, readable in a terminal. Lines for state changes, none per request. */
import winston from 'winston';

export interface Log {
  error(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  debug(message: string, fields?: Record<string, unknown>): void;
}

const readable = winston.format.printf(({ timestamp, level, message, ...fields }) => {
  const rest = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return `${timestamp} ${level} ${message}${rest}`;
});

/** `level` is winston's; JSON lines when `isJson`. */
export function createLogger(level: string, isJson: boolean): Log {
  return winston.createLogger({
    level,
    format: winston.format.combine(winston.format.timestamp(), isJson ? winston.format.json() : readable),
    transports: [new winston.transports.Console({ stderrLevels: ['error', 'warn'] })],
  });
}

/** Says nothing: for tests and tools. */
export const silentLog: Log = { error() {}, warn() {}, info() {}, debug() {} };
