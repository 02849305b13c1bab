/**
 * Keeps a performance up to date: over the socket where there is one, by reading again every few seconds where there is not
 * (nobody is logged in, or WebSocket is blocked).
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { FastpassSocket, NetworkError, type Performance } from '../../src/client/index.ts';
import { client, type Login } from '../lib/session.ts';
import type { Counts, SeatStore } from './seat-store.ts';

export type Connection = 'live' | 'polling' | 'lost';

/** Of this user, told by the gateway. */
export interface OwnEvents {
  readonly onExpired: (reservationId: string) => void;
  readonly onConfirmed: (reservationId: string) => void;
}

export interface Live {
  readonly connection: Connection;
  readonly remaining: number;
  readonly counts: Counts;
}

const pollMs = 3000;
/** Beside the socket, for what it may have failed to tell. */
const pollMsLive = 20_000;

export interface Sold {
  readonly performance: Performance;
  /** Null for a capacity performance. */
  readonly store: SeatStore | null;
  /** Of the map that the store was made of. */
  readonly etag: string | undefined;
}

export function useLive({ performance, store, etag }: Sold, login: Login | null, own: OwnEvents): Live {
  const { performanceId } = performance;
  const [connection, setConnection] = useState<Connection>('polling');
  const [remaining, setRemaining] = useState(performance.remaining);
  const [counts, setCounts] = useState<Counts>(store?.counts ?? { AVAILABLE: 0, HELD: 0, OCCUPIED: 0 });
  const events = useRef(own);
  events.current = own;

  useEffect(() => store?.onChange(() => setCounts(store.counts)), [store]);

  useEffect(() => {
    const over = new AbortController();
    const socket = login === null ? null : new FastpassSocket(client);
    const reader = new Reader(performanceId, store, etag, setRemaining, over.signal);
    let isOpen = false;
    let isLost = false;
    const tell = (): void => setConnection(isLost ? 'lost' : isOpen && store !== null ? 'live' : 'polling');
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      clearTimeout(timer);
      const isRead = await reader.read();
      if (over.signal.aborted) return;
      isLost = !isRead;
      tell();
      clearTimeout(timer);
      if (!document.hidden) timer = setTimeout(() => void read(), isOpen && store !== null ? pollMsLive : pollMs);
    };
    // Nobody looks: nothing is asked. What the socket tells is taken all the same.
    const onVisibility = (): void => {
      if (document.hidden) clearTimeout(timer);
      else void read();
    };
    if (store !== null) socket?.watchSeats(performanceId);
    socket?.onSeats((event) => store?.apply(event.changes));
    socket?.onReservationExpired(({ reservationId }) => events.current.onExpired(reservationId));
    socket?.onReservationConfirmed(({ reservationId }) => events.current.onConfirmed(reservationId));
    socket?.onState(({ state }) => {
      const wasOpen = isOpen;
      isOpen = state === 'open';
      if (isOpen !== wasOpen && !over.signal.aborted) void read();
    });
    socket?.open();
    document.addEventListener('visibilitychange', onVisibility);
    void read();
    return () => {
      document.removeEventListener('visibilitychange', onVisibility);
      over.abort();
      clearTimeout(timer);
      socket?.close();
    };
  }, [performanceId, store, login?.accessToken]);

  return { connection, remaining: store === null ? remaining : counts.AVAILABLE, counts };
}

/** Reads what is not told, one read at a time; one that is asked for meanwhile follows. */
class Reader {
  readonly #performanceId: number;
  readonly #store: SeatStore | null;
  readonly #onRemaining: (remaining: number) => void;
  readonly #signal: AbortSignal;
  #etag: string | undefined;
  #underWay: Promise<boolean> = Promise.resolve(true);

  constructor(
    performanceId: number,
    store: SeatStore | null,
    etag: string | undefined,
    onRemaining: (remaining: number) => void,
    signal: AbortSignal,
  ) {
    this.#performanceId = performanceId;
    this.#store = store;
    this.#etag = etag;
    this.#onRemaining = onRemaining;
    this.#signal = signal;
  }

  /** False where there was no answer. */
  read(): Promise<boolean> {
    this.#underWay = this.#underWay.then(async () => {
      try {
        return this.#store === null ? await this.#readRemaining() : await this.#readSeats(this.#store);
      } catch (thrown) {
        if (this.#signal.aborted || thrown instanceof NetworkError) return false;
        throw thrown;
      }
    });
    return this.#underWay;
  }

  async #readRemaining(): Promise<boolean> {
    const result = await client.performance(this.#performanceId, { signal: this.#signal });
    if (result.ok && !this.#signal.aborted) this.#onRemaining(result.value.remaining);
    return result.ok;
  }

  async #readSeats(store: SeatStore): Promise<boolean> {
    const endRead = store.beginRead();
    let seats = null;
    try {
      const result = await client.seats(this.#performanceId, {
        signal: this.#signal,
        ...(this.#etag === undefined ? {} : { etag: this.#etag }),
      });
      if (!result.ok) return false;
      this.#etag = result.value.etag;
      if (result.value.isChanged) seats = result.value.map.seats;
      return true;
    } finally {
      endRead(seats);
    }
  }
}
