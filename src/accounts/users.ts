/** Sign-up and log-in. */
import type { Role, User } from '../domain/account.ts';
import type { Attempts } from '../lua/attempts.ts';
import type { Database } from '../persist/database.ts';
import { findUser, insertUser, makeAdmin } from '../persist/users.ts';
import { hashPassword, isPassword } from './passwords.ts';

export type LogIn =
  | { readonly kind: 'in'; readonly userId: number; readonly role: Role }
  /** No such user, or another password: nobody learns which. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'wait'; readonly waitMs: number };

export class Users {
  readonly #database: Database;
  readonly #attempts: Attempts;

  constructor(database: Database, attempts: Attempts) {
    this.#database = database;
    this.#attempts = attempts;
  }

  /** Null when the address is taken. Rejects with Overloaded or StoreUnavailable. */
  async signUp(email: string, password: string, name: string | null): Promise<User | null> {
    const address = canonical(email);
    if ((await findUser(this.#database, address)) !== null) return null;
    const passwordHash = await hashPassword(password);
    return insertUser(this.#database, { email: address, name, role: 'user', passwordHash });
  }

  /** Counts the attempt first: of a thousand at once, no more pass than one after the other. */
  async logIn(email: string, password: string, fromAddress: string): Promise<LogIn> {
    const address = canonical(email);
    const waitMs = await this.#attempts.begin(address, fromAddress);
    if (waitMs > 0) return { kind: 'wait', waitMs };
    const user = await findUser(this.#database, address);
    const isRight = await isPassword(user?.passwordHash ?? null, password);
    if (user === null || !isRight) {
      await this.#attempts.fail(fromAddress);
      return { kind: 'refused' };
    }
    await this.#attempts.succeed(address);
    return { kind: 'in', userId: user.userId, role: user.role };
  }

  /**
   * Makes the first admin where there is none of that address. Whoever had signed up with it before becomes the admin with
   * this password: anybody could have done so, with one of their own.
   */
  async ensureAdmin(email: string, password: string): Promise<void> {
    const address = canonical(email);
    const known = await findUser(this.#database, address);
    if (known?.role === 'admin') return;
    const passwordHash = await hashPassword(password);
    if (known !== null) return makeAdmin(this.#database, known.userId, passwordHash);
    // Another process may have been faster: then it is there.
    await insertUser(this.#database, { email: address, name: 'Admin', role: 'admin', passwordHash });
  }
}

/** One person writes the same address in more than one way. */
function canonical(email: string): string {
  return email.trim().toLowerCase();
}
