/** Five thousand sockets in one room, at two gateways: positions to the person, the order, the rate and the limit. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { RoomNews } from '../src/domain/waiting-room.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { countByStatus, crowd, type GatewayProcess, newUserId, redisClient, spawnGateway, until } from './harness.ts';
import {
  closeSockets,
  configure,
  isFalling,
  joinSending,
  lastPositionOf,
  leave,
  openRoom,
  positionsOf,
  RoomListener,
  shuffled,
  stateOf,
  untilState,
  waitingIn,
  watch,
} from './rooms.ts';
import type { TestSocket } from './socket.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_404);
const people = 5000;
const paused = { admitPerSecond: 0 };
const slow = { timeout: 120_000 };

let gateways: GatewayProcess[];

beforeAll(async () => {
  gateways = await Promise.all([spawnGateway(), spawnGateway()]);
});

afterAll(() => Promise.all(gateways.map((gateway) => gateway.stop())));

interface Person {
  readonly userId: number;
  readonly ticket: string;
  readonly number: number;
  readonly url: string;
  socket: TestSocket;
}

/** Works on every element, so many at once, in their order. */
async function forEach<Element>(
  elements: readonly Element[],
  lanes: number,
  work: (element: Element) => Promise<void>,
) {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < elements.length) await work(elements[next++]!);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** A paused room in which all wait, each with a socket that has been told its place; in the order of their numbers. */
async function fill(id: number): Promise<Person[]> {
  const sendings = Array.from({ length: people }, () => joinSending(id, newUserId()));
  const halves = [sendings.slice(0, people / 2), sendings.slice(people / 2)];
  const sent = (await Promise.all(halves.map((half, i) => crowd(gateways[i]!.url, half, { connections: 50 })))).flat();
  expect(countByStatus(sent)).toEqual({ 201: people });
  const persons = sent.map(({ sending, body }, i): Person => {
    const { url } = gateways[i % 2]!;
    return { userId: sending.userId, ticket: body.ticket, number: body.number, url, socket: null as never };
  });
  persons.sort((a, b) => a.number - b.number);
  expect(persons.filter(({ number }, i) => number !== i + 1)).toEqual([]);
  await forEach(persons, 100, async (person) => {
    person.socket = await watch(person.url, person);
  });
  onTestFinished(() => closeSockets());
  await Promise.all(persons.map(({ socket }) => socket.message('queue.position', () => true, 30_000)));
  // Nobody has left: the first position is the number.
  expect(persons.filter(({ socket, number }) => positionsOf(socket).join() !== String(number))).toEqual([]);
  return persons;
}

async function listen(id: number): Promise<RoomListener> {
  const listener = await RoomListener.open(id);
  onTestFinished(() => listener.close());
  return listener;
}

const roundsOf = ({ news }: RoomListener): RoomNews[] => news.filter(({ admitted }) => admitted.length > 0);

/** When a round was made, by Redis' clock: the pass of its first one begins then. */
const madeAtMs = (round: RoomNews, passSeconds: number): number => round.admitted[0]!.passEndsAtMs - passSeconds * 1000;

/** Admissions of whole rounds: the first one is the start of the clock, and the last one may have met the end of the line. */
function measuredRate(rounds: readonly RoomNews[], passSeconds: number): number {
  const whole = rounds.slice(0, -1);
  const count = whole.slice(1).reduce((sum, { admitted }) => sum + admitted.length, 0);
  return (count * 1000) / (madeAtMs(whole.at(-1)!, passSeconds) - madeAtMs(whole[0]!, passSeconds));
}

/** Sockets whose last messages are not one admission with their own number, after falling positions. */
function astray(persons: readonly Person[]): unknown[] {
  return persons
    .filter(({ socket, number }) => {
      const admissions = socket.of('queue.admitted');
      const isWhole = admissions.length === 1 && socket.messages.at(-1) === admissions[0];
      return !isWhole || admissions[0].number !== number || !isFalling(positionsOf(socket));
    })
    .map(({ number, socket }) => [number, socket.messages.slice(-5)]);
}

describe('five thousand sockets in one room', () => {
  it('see positions that fall, and are let in by their numbers at the rate', slow, async () => {
    const perSecond = 1000;
    const passSeconds = 600;
    const id = await openRoom(gateways[0]!.url, { ...paused, passSeconds });
    const persons = await fill(id);
    const listener = await listen(id);
    await configure(gateways[1]!.url, id, { admitPerSecond: perSecond, maxActive: 2 * people, passSeconds });
    await Promise.all(persons.map(({ socket }) => socket.message('queue.admitted', () => true, 30_000)));
    expect(astray(persons)).toEqual([]);
    // The way was told, not only its end: those in the rear half saw themselves come nearer.
    const unmoved = persons.slice(people / 2).filter(({ socket }) => positionsOf(socket).length < 2);
    expect(unmoved).toEqual([]);

    // Nobody was left out or overtaken; passes begin in the order of the numbers, and the sockets were told the same.
    const rounds = roundsOf(listener);
    const admitted = rounds.flatMap((round) => round.admitted);
    expect(admitted.map(({ number }) => number)).toEqual(persons.map(({ number }) => number));
    const told = persons.map(({ socket }) => Date.parse(socket.of('queue.admitted')[0].passExpiresAt));
    expect(told).toEqual(admitted.map(({ passEndsAtMs }) => passEndsAtMs));
    expect(told.filter((endMs, i) => i > 0 && endMs < told[i - 1]!)).toEqual([]);
    expect(new Set(persons.map(({ socket }) => socket.of('queue.admitted')[0].pass)).size).toBe(people);
    // As told: in every round the rear half after the front half, on the whole.
    const mean = (part: readonly { readonly number: number }[]): number =>
      part.reduce((sum, { number }) => sum + persons[number - 1]!.socket.times.at(-1)!, 0) / part.length;
    const leadsMs = rounds.map(({ admitted: all }) => {
      const half = Math.floor(all.length / 2);
      return half === 0 ? 0 : mean(all.slice(half)) - mean(all.slice(0, half));
    });
    expect(leadsMs.reduce((sum, leadMs) => sum + leadMs) / rounds.length).toBeGreaterThan(0);
    const means = rounds.map((round) => mean(round.admitted));
    expect(means.at(-1)).toBeGreaterThan(means[0]!);

    // The rate, as a whole, and never more of it than has been earned: no burst.
    const rate = measuredRate(rounds, passSeconds);
    expect(rate).toBeGreaterThan(perSecond * 0.95);
    expect(rate).toBeLessThan(perSecond * 1.05);
    let count = 0;
    for (const round of rounds.slice(1)) {
      count += round.admitted.length;
      const elapsedMs = madeAtMs(round, passSeconds) - madeAtMs(rounds[0]!, passSeconds);
      expect(count).toBeLessThanOrEqual((elapsedMs * perSecond) / 1000 + 2);
    }
    // Within a round, evenly: no tenth of a second has more than its share.
    for (const round of rounds.slice(0, -1)) {
      const shares = new Map<number, number>();
      for (const { passEndsAtMs } of round.admitted) {
        const tenth = Math.floor((passEndsAtMs - round.admitted[0]!.passEndsAtMs) / 100);
        shares.set(tenth, (shares.get(tenth) ?? 0) + 1);
      }
      const share = (round.admitted.length * 100) / round.roundMs;
      expect([...shares.values()].filter((part) => part > share * 1.05 + 2)).toEqual([]);
    }
    await untilState(gateways[0]!.url, id, { issued: people, admitted: people, active: people, waiting: 0 });
  });

  it('see exact positions while a fifth of them leave, and never more than maxActive are inside', slow, async () => {
    const maxActive = 800;
    const url = gateways[0]!.url;
    const id = await openRoom(url, paused);
    const persons = await fill(id);
    const order = shuffled(persons, seed);
    const leavers = order.slice(0, people / 5);
    const redis = redisClient();
    onTestFinished(() => redis.disconnect());
    const keys = performanceKeys(id);

    // What is true at each tick, by a model of its own: numbers given out, less those let in, less those who have left.
    // Who is on the way out at that moment may stand in the line or not.
    const leaving = new Set<number>();
    const left = new Set<number>();
    const inside = new Set<number>();
    const faults: string[] = [];
    /** Of each tick, by number: the position counted one by one; 0 for those who do not wait. */
    const truths: Uint16Array[] = [];
    const byUser = new Map(persons.map((person) => [person.userId, person]));
    const givenBack: Promise<void>[] = [];
    const listener = await listen(id);
    listener.onNews = (news) => {
      for (const { userId, number } of news.admitted) {
        if (inside.has(number)) faults.push(`${number} is let in twice`);
        if (left.has(number)) faults.push(`${number} had left`);
        inside.add(number);
        if (byUser.get(userId)?.number !== number) faults.push(`${number} is not the number of ${userId}`);
      }
      if (news.line === null) return;
      const truth = new Uint16Array(people + 1);
      const waiting = new Set(waitingIn(news));
      let position = 0;
      for (let number = 1; number <= people; number++) {
        if (waiting.has(number)) truth[number] = ++position;
        const mayWait = !inside.has(number) && !left.has(number);
        const mustWait = mayWait && !leaving.has(number);
        if (waiting.has(number) ? !mayWait : mustWait) faults.push(`${number} at tick ${truths.length}: ${!mustWait}`);
      }
      truths.push(truth);
    };
    const leaveNow = async (person: Person): Promise<void> => {
      leaving.add(person.number);
      const gateway = gateways[person.number % 2]!;
      if ((await leave(gateway.url, id, person.userId, person.ticket)).status !== 204) faults.push('not left');
      // Heard in the order of Redis: a tick after this one is without the leaver.
      await listener.marker();
      left.add(person.number);
    };

    // Half of the leavers leave while nobody is let in: the model is exact.
    for (let first = 0; first < leavers.length / 2; first += 100) {
      await forEach(leavers.slice(first, first + 100), 20, leaveNow);
      await listener.pass(1);
    }
    const stayed = persons.filter(({ number }) => !left.has(number));
    expect(stayed).toHaveLength(people * 0.9);
    const line = await redis.zrange(keys.waiting, '0', '-1', 'WITHSCORES');
    expect(line).toEqual(stayed.flatMap(({ userId, number }) => [String(userId), String(number)]));
    expect(waitingIn(listener.ticks.at(-1)!)).toEqual(stayed.map(({ number }) => number));
    await until('every socket knows its exact position', () =>
      stayed.every(({ socket }, i) => lastPositionOf(socket) === i + 1),
    );
    await untilState(url, id, { issued: people, admitted: 0, waiting: stayed.length, active: 0 });

    // The other half while others come in, who give their pass back as soon as they have it.
    let isOver = false;
    let insideMax = 0;
    const sample = async (): Promise<void> => {
      for (let i = 0; !isOver; i++) {
        const active = i % 10 === 0 ? (await stateOf(url, id)).active : await redis.zcard(keys.active);
        insideMax = Math.max(insideMax, active);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const sampling = sample();
    for (const person of stayed) {
      person.socket.raw.once('close', () => faults.push(`the socket of ${person.number} has closed`));
      const giveBack = async (): Promise<void> => {
        await person.socket.message('queue.admitted', () => true, 60_000);
        if (leaving.has(person.number)) return;
        const { status } = await leave(person.url, id, person.userId, person.ticket);
        if (status !== 204) faults.push(`the pass of ${person.number} was not taken back: ${status}`);
      };
      if (!leavers.includes(person)) givenBack.push(giveBack());
    }
    await configure(url, id, { admitPerSecond: 5000, maxActive });
    await forEach(leavers.slice(leavers.length / 2), 2, leaveNow);
    await Promise.all(givenBack);
    await listener.pass(1);
    isOver = true;
    await sampling;
    for (const { socket } of persons) socket.raw.removeAllListeners('close');

    expect(faults).toEqual([]);
    expect(insideMax).toBeLessThanOrEqual(maxActive);
    expect(insideMax, 'the limit was reached').toBeGreaterThan(maxActive * 0.9);
    const rounds = roundsOf(listener);
    expect(rounds.filter(({ admitted }) => admitted.length > maxActive)).toEqual([]);
    // In order; who was not let in has left.
    const admitted = rounds.flatMap((round) => round.admitted.map(({ number }) => number));
    expect(admitted.filter((number, i) => i > 0 && number <= admitted[i - 1]!)).toEqual([]);
    const isIn = new Set(admitted);
    expect(persons.filter(({ number }) => !isIn.has(number) && !left.has(number))).toEqual([]);
    expect(astray(persons.filter((person) => !leavers.includes(person)))).toEqual([]);
    // Whatever anybody was told was counted at some tick, in the order of the ticks.
    const wrong = persons.filter(({ socket, number }) => {
      let tick = 0;
      const told = positionsOf(socket).slice(1);
      if (leaving.has(number)) return !isFalling(positionsOf(socket));
      return !told.every((position) => {
        while (tick < truths.length && truths[tick]![number] !== position) tick++;
        return tick < truths.length;
      });
    });
    expect(wrong.map(({ number, socket }) => [number, positionsOf(socket)])).toEqual([]);
    await untilState(url, id, { issued: people, waiting: 0, active: 0 });
  });
});
