/**
 * Tickets and passes: signed, so that a place in the queue survives whatever forgets it, and nobody makes one up. Each kind
 * has a key of its own, derived from JWT_SECRET (HKDF, RFC 5869): none of them is ever good as an access token, nor one as
 * the other. The same place always has the same ticket and the same pass.
 */
import { hkdfSync } from 'node:crypto';
import { createSigner, createVerifier } from 'fast-jwt';

export interface Ticket {
  readonly performanceId: number;
  readonly userId: number;
  /** The order of joining; the number too, where there is no draw. */
  readonly arrival: number;
}

export interface Pass {
  readonly performanceId: number;
  readonly userId: number;
  readonly number: number;
}

const tokenLengthMax = 512;

function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** Signs and reads one kind of token: three numbers under short names. */
class Tokens {
  readonly #sign: (claims: Record<string, number>) => string;
  readonly #verify: (token: string) => unknown;

  constructor(secret: string, kind: string) {
    const key = Buffer.from(hkdfSync('sha256', secret, '', `fastpass ${kind}`, 32));
    this.#sign = createSigner({ key, algorithm: 'HS256', noTimestamp: true });
    this.#verify = createVerifier({ key, algorithms: ['HS256'] });
  }

  sign(performanceId: number, userId: number, number: number): string {
    return this.#sign({ p: performanceId, u: userId, n: number });
  }

  read(token: string): { readonly p: number; readonly u: number; readonly n: number } | null {
    if (token.length > tokenLengthMax) return null;
    try {
      const claims = this.#verify(token);
      if (typeof claims !== 'object' || claims === null || !('p' in claims && 'u' in claims && 'n' in claims))
        return null;
      const { p, u, n } = claims;
      return isId(p) && isId(u) && isId(n) ? { p, u, n } : null;
    } catch {
      // Forged, of the other kind, or no token at all: all the same to the caller.
      return null;
    }
  }
}

export class QueueTokens {
  readonly #tickets: Tokens;
  readonly #passes: Tokens;

  constructor(secret: string) {
    this.#tickets = new Tokens(secret, 'queue ticket');
    this.#passes = new Tokens(secret, 'queue pass');
  }

  signTicket({ performanceId, userId, arrival }: Ticket): string {
    return this.#tickets.sign(performanceId, userId, arrival);
  }

  /** Null for anything that is not a ticket of ours. */
  readTicket(token: string): Ticket | null {
    const claims = this.#tickets.read(token);
    return claims === null ? null : { performanceId: claims.p, userId: claims.u, arrival: claims.n };
  }

  signPass({ performanceId, userId, number }: Pass): string {
    return this.#passes.sign(performanceId, userId, number);
  }

  /**
   * The number of a pass for a hold: 0 where none was sent, -1 for one that is forged, of another user or another
   * performance. Whether it is still good is Redis' to say.
   */
  passNumber(token: string, performanceId: number, userId: number): number {
    if (token === '') return 0;
    const claims = this.#passes.read(token);
    return claims !== null && claims.p === performanceId && claims.u === userId ? claims.n : -1;
  }
}
