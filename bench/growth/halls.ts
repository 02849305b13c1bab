/** Performances with free seats for one point of an axis: what one measurement leaves, the next one goes on with. */
import pLimit from 'p-limit';
import type { Seller } from '../load/seller.ts';
import type { Point } from './axes.ts';

/** As many as the API takes. */
const seatsMax = 100_000;
/** Performances made at once, and seats of theirs: more only wait for each other in MySQL, which has a second or two. */
const sellersMax = 16;
const seatsAtOnceMax = 100_000;

/** Where a load may go, as its options have it. */
export interface Taken {
  readonly performanceIds: readonly number[];
  readonly seatsPerPerformance: number;
  readonly first: number;
  readonly isSpread: boolean;
}

export class Halls {
  readonly #seller: Seller;
  readonly #point: Point;
  readonly #seats: number;
  #performanceIds: number[] = [];
  /** Requests that were sent to these performances. */
  #sent = 0;

  /** `requestsMax`: of the whole run. */
  constructor(seller: Seller, point: Point, requestsMax: number) {
    this.#seller = seller;
    this.#point = point;
    this.#seats = point.seats ?? Math.min(seatsMax, Math.ceil(requestsMax / (point.performances ?? 1)));
  }

  /** Performances in which so many requests find a seat each, or as many as there can be; new ones where too few are left. */
  async take(requests: number): Promise<Taken> {
    const { performances, refusalPercent } = this.#point;
    const holds = Math.ceil((requests * (100 - refusalPercent)) / 100);
    const sentHolds = Math.ceil((this.#sent * (100 - refusalPercent)) / 100);
    const left = this.#performanceIds.length * this.#seats - sentHolds;
    const isSpread = performances !== null;
    const wanted = isSpread ? Math.min(holds, performances * this.#seats) : holds;
    if (left < wanted) {
      this.#performanceIds = await this.#make(performances ?? Math.ceil(holds / this.#seats));
      this.#sent = 0;
    }
    return {
      performanceIds: this.#performanceIds,
      seatsPerPerformance: this.#seats,
      first: this.#sent,
      isSpread,
    };
  }

  /** So many requests were sent, at most. */
  sent(requests: number): void {
    this.#sent += requests;
  }

  async #make(count: number): Promise<number[]> {
    // The first one alone: it makes the event.
    const first = await this.#seller.performance(this.#seats);
    const limit = pLimit(Math.max(1, Math.min(sellersMax, Math.floor(seatsAtOnceMax / this.#seats))));
    const others = Array.from({ length: count - 1 }, () => limit(() => this.#seller.performance(this.#seats)));
    return [first, ...(await Promise.all(others))];
  }
}
