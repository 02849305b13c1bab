/** What the benches that compare servers share: the people with their tokens, and the performances that they rush. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mintToken } from '../../src/gateway/auth.ts';
import { say } from './progress.ts';
import type { Stage } from './stage.ts';

export const jwtSecret = 'a-secret-of-the-bench-32-bytes-long!!';

/** Writes a file of tokens, one a line, of the users 1000 and on, each good for a day; returns its path. It goes with the stage. */
export async function writeTokens(stage: Stage, users: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'fastpass-bench-'));
  await stage.add(async () => ({ stop: async () => rmSync(folder, { recursive: true, force: true }) }));
  const path = join(folder, 'tokens');
  say(`minting ${users} tokens ...`);
  const tokens = Array.from({ length: users }, (_, i) => mintToken(jwtSecret, 1000 + i, 'user', 24 * 3600));
  writeFileSync(path, tokens.join('\n'));
  return path;
}

/** POSTs JSON. Rejects when the answer is no 2xx. */
export async function post(url: string, token: string, body: unknown): Promise<Record<string, number>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`POST ${url}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, number>;
}

/** Makes performances over the API of one gateway. */
export class Seller {
  readonly #url: string;
  readonly #token = mintToken(jwtSecret, 1, 'admin', 3600);
  #eventId = 0;

  constructor(url: string) {
    this.#url = url;
  }

  async performance(seats: number): Promise<number> {
    if (this.#eventId === 0) {
      this.#eventId = (await post(`${this.#url}/v1/events`, this.#token, { name: 'Bench' }))['eventId']!;
    }
    const performance = await post(`${this.#url}/v1/events/${this.#eventId}/performances`, this.#token, {
      startsAt: '2035-01-01T00:00:00Z',
      price: 1000,
      holdSeconds: 3600,
      maxReservationsPerUser: 1000,
      seating: { kind: 'seated', seats },
    });
    return performance['performanceId']!;
  }

  /** A performance whose seats are all held. */
  async soldOut(seats: number): Promise<number> {
    const performanceId = await this.performance(seats);
    for (let first = 1; first <= seats; first += 100) {
      const list = Array.from({ length: Math.min(100, seats - first + 1) }, (_, i) => first + i);
      await post(`${this.#url}/v1/reservations`, this.#token, { performanceId, seats: list });
    }
    return performanceId;
  }
}
