/**
 * One played visitor, with the client that pages use.
 *
 *   waiting -> asking    admitted, or there is no queue; a taken seat is asked for elsewhere, twice
 *   asking  -> holding   for some seconds, so that one sees it
 *   any     -> gone      whatever it has is given back: the hold first, then the pass or the place in the queue
 */
import {
  type FastpassClient,
  type Held,
  NetworkError,
  type ReserveRequest,
  type Result,
  type TicketStorage,
  waitForPass,
} from '../client/index.ts';
import { between, sleep } from '../client/wait.ts';
import type { Figures } from './figures.ts';
import type { Wishes } from './wishes.ts';

export interface Scene {
  readonly performanceId: number;
  readonly wishes: Wishes;
  readonly figures: Figures;
  /** Aborted when everybody is to go: nobody waits or asks any more, and what they have is given back. */
  readonly closing: AbortSignal;
  /** Aborted when that has taken too long: what is still held lapses by itself. */
  readonly closed: AbortSignal;
}

const triesMax = 3;
const keptMsMin = 1000;
const keptMsMax = 5000;

/** Settled when the visitor has gone. Rejects where something was not given back. */
export async function visit(client: FastpassClient, scene: Scene): Promise<void> {
  const ticket = new TicketInHand();
  const hold = new HoldInHand(client, scene);
  try {
    await come(client, scene, ticket, hold);
  } catch (thrown) {
    if (thrown instanceof NetworkError) scene.figures.onFailed();
    else if (!scene.closing.aborted) throw thrown;
  } finally {
    try {
      await hold.giveBack();
    } finally {
      if (ticket.value !== null) {
        await client.leaveQueue(scene.performanceId, ticket.value, { signal: scene.closed });
      }
    }
  }
}

async function come(client: FastpassClient, scene: Scene, ticket: TicketInHand, hold: HoldInHand): Promise<void> {
  const { performanceId, figures, closing } = scene;
  const way = { usesSocket: false, rejoins: true, storage: ticket, signal: closing };
  const outcome = await waitForPass(client, performanceId, way);
  if (outcome.status === 'refused') return figures.onRefused(outcome.problem.code);
  const pass = outcome.status === 'admitted' ? outcome.pass : undefined;
  const result = await hold.take(pass);
  if (!result.ok) return figures.onRefused(result.problem.code);
  figures.onHeld();
  await sleep(between(keptMsMin, keptMsMax), closing);
}

/** Keeps the ticket where the client would keep it over a reload. */
class TicketInHand implements TicketStorage {
  value: string | null = null;

  getItem(): string | null {
    return this.value;
  }

  setItem(_key: string, value: string): void {
    this.value = value;
  }

  removeItem(): void {
    this.value = null;
  }
}

/** The one hold of a visitor. */
class HoldInHand {
  readonly #client: FastpassClient;
  readonly #scene: Scene;
  #reservationId: string | null = null;
  /** A request for it has no answer: it may be there or not. */
  #isUnsure = false;

  constructor(client: FastpassClient, scene: Scene) {
    this.#client = client;
    this.#scene = scene;
  }

  /** Asks, and where somebody was faster, elsewhere. Returns the last answer. */
  async take(pass: string | undefined): Promise<Result<Held>> {
    const { performanceId, wishes, closing } = this.#scene;
    for (let tries = 1; ; tries++) {
      const places = await wishes.next(closing);
      closing.throwIfAborted();
      const result = await this.#ask({ performanceId, ...places }, pass);
      if (result.ok) this.#reservationId = result.value.reservationId;
      if (result.ok || result.problem.code !== 'seat_taken') return result;
      wishes.onTaken(result.problem.seats);
      if (tries === triesMax) return result;
    }
  }

  /** Not ended by `closing`: who asked must learn what became of it. */
  async #ask(request: ReserveRequest, pass: string | undefined): Promise<Result<Held>> {
    this.#isUnsure = true;
    const result = await this.#client.reserve(request, { pass, signal: this.#scene.closed });
    this.#isUnsure = false;
    return result;
  }

  /** A hold that has lapsed or was never there is as good as given back. */
  async giveBack(): Promise<void> {
    const signal = this.#scene.closed;
    const ids = this.#reservationId === null ? [] : [this.#reservationId];
    if (this.#isUnsure) {
      const mine = await this.#client.reservations({ status: 'HELD', signal });
      if (mine.ok) ids.push(...mine.value.items.map(({ reservationId }) => reservationId));
      else throw new Error(`a hold may be left: ${mine.problem.code}`);
    }
    for (const id of ids) {
      const result = await this.#client.cancel(id, { signal });
      if (!result.ok && result.status >= 500) throw new Error(`a hold was not cancelled: ${result.problem.code}`);
    }
  }
}
