import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, readSync, renameSync, writeFileSync } from 'node:fs';

const TAIL_BYTES = 8192;
const TAIL_LINES = 15;

/** True for the error of a file or folder that is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** The last 15 lines of a log, or a remark that there are none. */
export function readTail(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if (isMissing(error)) return '(no output)';
    throw error;
  }
  try {
    const sizeBytes = fstatSync(descriptor).size;
    const buffer = Buffer.alloc(Math.min(sizeBytes, TAIL_BYTES));
    readSync(descriptor, buffer, 0, buffer.length, sizeBytes - buffer.length);
    const text = buffer.toString('utf8').trimEnd();
    return text === '' ? '(no output)' : text.split('\n').slice(-TAIL_LINES).join('\n');
  } finally {
    closeSync(descriptor);
  }
}

/** Moves the log of the last run aside, so that a tail shows this run alone and the log does not grow for ever. */
export function setLogAside(file: string): void {
  try {
    renameSync(file, `${file}.previous`);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** A password of 192 random bits that needs no escaping in URLs, SQL texts and configuration files. */
export function randomPassword(): string {
  return randomBytes(24).toString('base64url');
}

/** The password kept in `file`; the first call makes one, readable by the owner alone. */
export function keepPassword(file: string): string {
  try {
    const kept = readFileSync(file, 'utf8').trim();
    // A file cut short by a crash counts as none: the servers are told the password anew at every start.
    if (kept.length === randomPassword().length) return kept;
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const password = randomPassword();
  writePrivateFile(file, `${password}\n`);
  return password;
}

/** Writes a file that only its owner can read; a reader sees the old text or the new one, never half of it. */
export function writePrivateFile(file: string, text: string): void {
  const unfinished = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(unfinished, text, { mode: 0o600 });
  renameSync(unfinished, file);
}
