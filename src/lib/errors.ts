/** Exceptions are for broken infrastructure; what a client did wrong is a value (domain/codes.ts). */

/** A store does not answer, or not in time: mapped to 503 `unavailable`. */
export class StoreUnavailable extends Error {
  readonly store: 'redis' | 'mysql';

  constructor(store: 'redis' | 'mysql', cause: unknown) {
    super(`${store} is unavailable: ${messageOf(cause)}`, { cause });
    this.name = 'StoreUnavailable';
    this.store = store;
  }
}

/** Too much of something waits already: mapped to 503 `overloaded`. */
export class Overloaded extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Overloaded';
  }
}

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a thrown error (`ECONNRESET`, `ER_DUP_ENTRY`), or an empty string. */
export function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}
