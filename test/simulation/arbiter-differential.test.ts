/**
 * The same random sequence of operations on real Redis and on the fake: every answer, everything published and all that
 * is stored in the end must be the same. The clock of the fake is set to the moment at which Redis has decided.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { silentLog } from '../../src/logger.ts';
import { RedisConnection } from '../../src/lua/connection.ts';
import { performanceKeys } from '../../src/lua/keys.ts';
import { parseRoomNews } from '../../src/lua/rooms.ts';
import { parseSeatNews } from '../../src/lua/seats.ts';
import { Subscriber } from '../../src/lua/subscriber.ts';
import { comparableNews, Pair } from './differential-sides.ts';
import { Sequence } from './differential-steps.ts';
import { removeKeys } from './redis-image.ts';

const sequences = 100;
const stepsPerSequence = 40;
const heardChannel = 'test:differential:heard';

/** What must have been answered at least once. */
const seatKinds = [
  ...['warmed', 'already', 'void', 'held', 'cold', 'seat_taken', 'sold_out', 'already_reserved', 'booking_closed'],
  ...['booking_not_open', 'seat_not_found', 'validation_failed'],
];
const roomKinds = [
  ...['queue_pass_required', 'queue_pass_invalid', 'waiting', 'early', 'admitted', 'left', 'expired', 'lost', 'open'],
  ...['round that admits', 'round that ends passes', 'round that misses somebody', 'round with a draw due'],
];

interface Answer {
  readonly kind?: string;
  readonly refusal?: { readonly code: string };
  readonly status?: string;
  readonly position?: number | null;
  readonly isOn?: boolean;
  readonly admitted?: number;
  readonly expired?: number;
  readonly left?: number;
  readonly drawDue?: unknown;
}

/** What the answers of a step were, as `seatKinds` and `roomKinds` have them. */
function kindsOf(answer: unknown): string[] {
  if (Array.isArray(answer)) return answer.flatMap(kindsOf);
  if (typeof answer === 'string') return [answer];
  const { kind, refusal, status, position, isOn, admitted, expired, left, drawDue }: Answer = Object(answer);
  if (isOn === undefined) return [refusal?.code ?? kind ?? (position === null ? 'early' : (status ?? 'done'))];
  return [
    admitted === 0 ? '' : 'round that admits',
    expired === 0 ? '' : 'round that ends passes',
    left === 0 ? '' : 'round that misses somebody',
    drawDue === null ? '' : 'round with a draw due',
  ];
}

describe('the fake of Redis beside the real one', () => {
  let connection: RedisConnection;
  let subscriber: Subscriber;
  let onHeard = (): void => {};
  beforeAll(async () => {
    connection = new RedisConnection([inject('redisUrl')], silentLog);
    await connection.connect();
    subscriber = new Subscriber(connection, silentLog);
    await subscriber.start();
    await subscriber.subscribe(heardChannel, () => onHeard());
  });
  afterAll(async () => {
    subscriber.stop();
    await connection.close();
  });

  /** Resolves when everything published so far has been heard. */
  async function allHeard(): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      onHeard = resolve;
    });
    await connection.client.publish(heardChannel, '');
    await heard;
  }

  async function run(seed: number, hasRoom: boolean): Promise<Set<string>> {
    const sequence = new Sequence(seed, hasRoom);
    const { id } = sequence;
    const pair = new Pair(connection, id);
    const { seatsChannel, queueChannel } = performanceKeys(id);
    await subscriber.subscribe(seatsChannel, (message) => pair.heard.real.push(parseSeatNews(message)));
    await subscriber.subscribe(queueChannel, (message) => {
      pair.heard.real.push(comparableNews(parseRoomNews(id, message)));
    });
    const kinds = new Set<string>();
    try {
      for (let step = 0; step < stepsPerSequence; step++) {
        const [name, act] = sequence.next();
        const { real, fake } = await pair.both(act);
        expect(fake, `seed ${seed}, step ${step}: ${name}`).toEqual(real);
        for (const kind of kindsOf(real)) kinds.add(kind);
      }
      await allHeard();
      expect(pair.heard.fake, `what is published, seed ${seed}`).toEqual(pair.heard.real);
      const { real, fake } = await pair.images();
      const { seen: realSeen, ...stored } = real;
      const { seen: fakeSeen, ...fakeStored } = fake;
      expect(fakeStored, `what is stored, seed ${seed}`).toEqual(stored);
      expect(new Set(fakeSeen.keys())).toEqual(new Set(realSeen.keys()));
      for (const [user, absentAt] of realSeen) expect(Math.abs(fakeSeen.get(user)! - absentAt)).toBeLessThan(400);
    } finally {
      subscriber.unsubscribe(seatsChannel);
      subscriber.unsubscribe(queueChannel);
      await removeKeys(connection, id);
    }
    return kinds;
  }

  it.each([
    ['seats and places', false, seatKinds],
    ['seats and places behind a waiting room', true, [...seatKinds, ...roomKinds]],
  ] as const)(
    'decides, publishes and stores the same of %s',
    async (_, hasRoom, kinds) => {
      const seen = new Set<string>();
      for (let seed = 1; seed <= sequences; seed++) for (const kind of await run(seed, hasRoom)) seen.add(kind);
      // Sequences in which nothing happens compare nothing.
      expect([...seen]).toEqual(expect.arrayContaining([...kinds]));
    },
    120_000,
  );
});
