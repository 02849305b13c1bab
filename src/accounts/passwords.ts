/** Passwords: argon2id with the parameters OWASP names as the least (19 MiB, two passes), a few at a time. */
import { hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import { Overloaded } from '../lib/errors.ts';

/** Each one has 19 MiB and a thread for some 20 ms; more at once would starve everything else of the thread pool. */
const atOnceMax = 2;
/** Past it a log-in would wait for a second or more. */
const waitingMax = 100;

const run = pLimit(atOnceMax);

function limited<Result>(work: () => Promise<Result>): Promise<Result> {
  if (run.pendingCount >= waitingMax) return Promise.reject(new Overloaded('too many passwords wait to be checked'));
  return run(work);
}

/** Rejects with Overloaded. */
export function hashPassword(password: string): Promise<string> {
  return limited(() => hash(password));
}

let nobodysHash: Promise<string> | null = null;

/**
 * Whether it is the password of this hash; null for a user that is not there, which takes the same time and is never true.
 * Rejects with Overloaded.
 */
export async function isPassword(passwordHash: string | null, password: string): Promise<boolean> {
  if (passwordHash !== null) return limited(() => verify(passwordHash, password));
  nobodysHash ??= hash(crypto.randomUUID());
  const known = await nobodysHash;
  await limited(() => verify(known, password));
  return false;
}
