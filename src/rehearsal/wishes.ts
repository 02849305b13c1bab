/** What the next visitor asks for: seats by one seat map that all of a rehearsal look at, or places for a party. */
import { type FastpassClient, NetworkError, type Places } from '../client/index.ts';
import type { Performance } from '../domain/performance.ts';
import { SeatPicker } from './seat-picker.ts';

/** The map is as large as the hall: one look serves all who choose within this time. */
const mapFreshMs = 1000;

export class Wishes {
  readonly #client: FastpassClient;
  readonly #performanceId: number;
  readonly #places: number;
  /** Null: parties. */
  readonly #picker: SeatPicker | null;
  #etag: string | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(client: FastpassClient, { performanceId, seating }: Performance, places: number) {
    this.#client = client;
    this.#performanceId = performanceId;
    this.#places = places;
    this.#picker = seating.kind === 'seated' ? new SeatPicker(seating.seats, seating.seatsPerRow, places) : null;
  }

  async next(signal: AbortSignal): Promise<Places> {
    if (this.#picker === null) return { partySize: this.#places };
    if (performance.now() - this.#readAtMs > mapFreshMs) {
      this.#reading ??= this.#read(this.#picker, signal).finally(() => {
        this.#reading = null;
      });
      await this.#reading;
    }
    return { seats: this.#picker.pick() };
  }

  onTaken(seats: readonly number[]): void {
    this.#picker?.onTaken(seats);
  }

  /** Where there is no answer the map stays as it was: whether a seat is free is for the gateway to say. */
  async #read(picker: SeatPicker, signal: AbortSignal): Promise<void> {
    try {
      const result = await this.#client.seats(this.#performanceId, { etag: this.#etag, signal });
      if (!result.ok) return;
      this.#readAtMs = performance.now();
      this.#etag = result.value.etag;
      if (!result.value.isChanged) return;
      picker.onMap(result.value.map.seats.filter(({ status }) => status !== 'AVAILABLE').map(({ seat }) => seat));
    } catch (thrown) {
      if (!(thrown instanceof NetworkError)) throw thrown;
    }
  }
}
