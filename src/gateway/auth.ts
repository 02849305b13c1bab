/** Bearer tokens: HS256 with JWT_SECRET and nothing else; no look-up anywhere, an outside provider may mint them. */
import { createHash } from 'node:crypto';
import { createSigner, createVerifier } from 'fast-jwt';
import type { Role } from '../domain/account.ts';

/** Who calls. */
export interface Identity {
  readonly userId: number;
  readonly role: Role;
  /** When the token ends, Unix milliseconds. */
  readonly endsAtMs: number;
  /** Names the token where it is given back: 32 hexadecimal digits. */
  readonly tokenId: string;
}

const tokensCachedMax = 50_000;
const tokenBytesMax = 4096;

export type Authenticate = (authorization: string) => Identity | null;

/** Makes the check of `Authorization` headers: the identity, or null for anything that is not a good token. */
export function createAuthenticate(
  secret: string,
  isRevoked: (tokenId: string) => boolean = () => false,
): Authenticate {
  const verify = createVerifier({ key: secret, algorithms: ['HS256'], requiredClaims: ['sub', 'exp'] });
  // By the whole header, oldest first: a user's second request need not pay for the signature again (3.6 us), nor
  // for cutting the token out of the header.
  const verified = new Map<string, Identity>();
  return (authorization) => {
    const known = verified.get(authorization);
    if (known !== undefined) {
      if (known.endsAtMs > Date.now()) return isRevoked(known.tokenId) ? null : known;
      verified.delete(authorization);
    }
    if (authorization.length > tokenBytesMax || !/^bearer /i.test(authorization)) return null;
    const token = authorization.slice(7);
    let fresh: Identity | null;
    try {
      fresh = identityOf(verify(token), token);
    } catch {
      // Forged, expired, of another algorithm, or no token at all: all the same to the caller.
      return null;
    }
    if (fresh === null) return null;
    if (verified.size >= tokensCachedMax) verified.delete(verified.keys().next().value as string);
    verified.set(authorization, fresh);
    return isRevoked(fresh.tokenId) ? null : fresh;
  };
}

function identityOf(claims: unknown, token: string): Identity | null {
  if (typeof claims !== 'object' || claims === null || !('sub' in claims) || !('exp' in claims)) return null;
  const { sub, exp } = claims;
  if (typeof sub !== 'string' || !/^[1-9]\d{0,15}$/.test(sub) || typeof exp !== 'number') return null;
  const userId = Number(sub);
  const role = 'role' in claims ? claims.role : 'user';
  if (!Number.isSafeInteger(userId) || (role !== 'user' && role !== 'admin')) return null;
  return { userId, role, endsAtMs: exp * 1000, tokenId: tokenIdOf(claims, userId, token) };
}

/**
 * By the token's own name (`jti`) and its user, so that nobody's name gives somebody else's token back; else by what was
 * signed, not by the signature, which can be written in more than one way.
 */
function tokenIdOf(claims: object, userId: number, token: string): string {
  const signed = token.slice(0, token.lastIndexOf('.')).trim();
  const name = 'jti' in claims && typeof claims.jti === 'string' ? `${userId} ${claims.jti}` : signed;
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

/** Mints a token, valid for `seconds`: the demo, tools and tests; log-in uses the same. */
export function mintToken(secret: string, userId: number, role: Role, seconds: number): string {
  const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: seconds * 1000 });
  return sign({ sub: String(userId), role, jti: crypto.randomUUID() });
}
