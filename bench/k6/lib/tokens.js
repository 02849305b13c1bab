// @ts-check
/**
 * Tokens as the gateway takes them: HS256 with `JWT_SECRET`, claims `sub`, `role`, `exp` and `jti`. A user needs no row
 * anywhere, so those of a run are numbers that no run before has used.
 */
import { hmac } from 'k6/crypto';
import { b64encode } from 'k6/encoding';
import { text, whole } from './environment.js';

const header = b64encode('{"alg":"HS256","typ":"JWT"}', 'rawurl');
/** Characters of 32 bytes in base64url. */
const signatureLength = 43;
const secretLengthMin = 32;

/**
 * What a VU makes the tokens of all users from. Each VU has a copy of its own of what `setup` returns: whole tokens of
 * 2,000 users would take half a megabyte of every VU, their signatures take 86 kB.
 * @typedef {{ firstId: number, endsAt: number, signatures: string }} Users
 */

/**
 * @param {number} userId
 * @param {string} role
 * @param {number} endsAt Unix seconds
 */
function signedPart(userId, role, endsAt) {
  const claims = { sub: String(userId), role, exp: endsAt, jti: `k6-${userId}` };
  return `${header}.${b64encode(JSON.stringify(claims), 'rawurl')}`;
}

/** @param {string} part */
function signatureOf(part) {
  const secret = text('JWT_SECRET');
  if (secret.length < secretLengthMin) throw new Error(`JWT_SECRET has ${secretLengthMin} bytes or more`);
  return hmac('sha256', secret, part, 'base64rawurl');
}

/** When tokens minted now end: Unix seconds. */
function endOfTokens() {
  return Math.floor(Date.now() / 1000) + whole('TOKEN_SECONDS', 24 * 3600, 60);
}

/**
 * Signs the tokens of `count` new users; for `setup`.
 * @param {number} count
 * @returns {Users}
 */
export function mintUsers(count) {
  const firstId = Date.now() * 1000 + 1;
  const endsAt = endOfTokens();
  const signatures = [];
  for (let i = 0; i < count; i++) signatures.push(signatureOf(signedPart(firstId + i, 'user', endsAt)));
  return { firstId, endsAt, signatures: signatures.join('') };
}

/**
 * The id and the token of one user, from 0 on.
 * @param {Users} users
 * @param {number} index
 */
export function userOf(users, index) {
  const userId = users.firstId + index;
  const signature = users.signatures.slice(index * signatureLength, (index + 1) * signatureLength);
  if (signature.length !== signatureLength) throw new Error(`there is no user ${index}`);
  return { userId, token: `${signedPart(userId, 'user', users.endsAt)}.${signature}` };
}

/** A token for what only an admin may do. */
export function mintAdmin() {
  const part = signedPart(Date.now() * 1000, 'admin', endOfTokens());
  return `${part}.${signatureOf(part)}`;
}
