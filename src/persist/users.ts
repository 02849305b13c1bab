/** Users and revoked tokens in MySQL. */
import type { Role, User } from '../domain/account.ts';
import { codeOf } from '../lib/errors.ts';
import type { Row, Statements } from './database.ts';
import { toDateTime } from './literals.ts';

export interface NewUser {
  /** In lower case. */
  readonly email: string;
  readonly name: string | null;
  readonly role: Role;
  readonly passwordHash: string;
}

export interface StoredUser extends User {
  readonly passwordHash: string;
}

/** Stores a user; null when the address is taken. */
export async function insertUser(statements: Statements, user: NewUser): Promise<User | null> {
  const { email, name, role, passwordHash } = user;
  try {
    const { insertId } = await statements.write(
      'INSERT INTO users (email, name, role, password_hash, created_at) VALUES (?, ?, ?, ?, NOW(3))',
      [email, name, role, passwordHash],
    );
    return { userId: insertId, email, name, role };
  } catch (thrown) {
    if (codeOf(thrown) === 'ER_DUP_ENTRY') return null;
    throw thrown;
  }
}

function userOf(row: Row): StoredUser {
  const { id, email, name, role } = row;
  return { userId: id, email, name, role, passwordHash: row['password_hash'] };
}

/** The user of an address in lower case, or null. */
export async function findUser(statements: Statements, email: string): Promise<StoredUser | null> {
  // ASCII alone is stored, and MySQL does not compare the column with anything else.
  if (!/^[!-~]+$/.test(email)) return null;
  const sql = 'SELECT id, email, name, role, password_hash FROM users WHERE email = ?';
  const rows = await statements.rows(sql, [email]);
  return rows[0] === undefined ? null : userOf(rows[0]);
}

export async function makeAdmin(statements: Statements, userId: number, passwordHash: string): Promise<void> {
  await statements.write("UPDATE users SET role = 'admin', password_hash = ? WHERE id = ?", [passwordHash, userId]);
}

/** A token that is refused until its end. */
export interface RevokedToken {
  /** 32 hexadecimal digits. */
  readonly tokenId: string;
  readonly endsAtMs: number;
}

/** Revokes a token, once or again. */
export async function insertRevoked(statements: Statements, { tokenId, endsAtMs }: RevokedToken): Promise<void> {
  await statements.write(
    'INSERT INTO revoked_tokens (token_id, ends_at) VALUES (?, ?) ON DUPLICATE KEY UPDATE ends_at = ends_at',
    [Buffer.from(tokenId, 'hex'), toDateTime(endsAtMs)],
  );
}

/** The tokens revoked that have not ended by themselves. */
export async function readRevoked(statements: Statements): Promise<RevokedToken[]> {
  const rows = await statements.rows('SELECT token_id, ends_at FROM revoked_tokens WHERE ends_at > NOW(3)');
  return rows.map((row) => ({
    tokenId: (row['token_id'] as Buffer).toString('hex'),
    endsAtMs: (row['ends_at'] as Date).getTime(),
  }));
}

/** Forgets those that have ended, at most `countMax`. */
export async function deleteEnded(statements: Statements, countMax: number): Promise<void> {
  await statements.write('DELETE FROM revoked_tokens WHERE ends_at <= NOW(3) LIMIT ?', [countMax]);
}
