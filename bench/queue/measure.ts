/** One room under a fixed rate of requests: its tickets are given out, then polled; then everything told is checked. */
import { setTimeout as sleep } from 'node:timers/promises';
import { headText, requestText } from '../load/connection.ts';
import { openConnections } from '../load/fire.ts';
import type { Gateway } from '../load/gateway.ts';
import { type Paced, pace } from '../load/pace.ts';
import { cpuTimeOf } from '../load/process-usage.ts';
import { startProgress } from '../load/progress.ts';
import { jwtSecret } from '../load/seller.ts';
import type { Stage } from '../load/stage.ts';
import { Room } from '../sockets/room.ts';
import { faultsOfNumbers, faultsOfPositions, type RoomCounts, type Told } from './check.ts';

export interface Rate {
  readonly perSecond: number;
  readonly seconds: number;
  readonly connections: number;
  /** People who leave the queue for the inside. */
  readonly admitPerSecond: number;
}

/** What one kind of request came to at one rate. */
export interface Measured extends Paced {
  /** Requests that got no answer, or none that says how a ticket stands; by what came instead. */
  readonly errors: number;
  readonly errorsBy: Readonly<Record<string, number>>;
  readonly gatewayCpuMsPer1000: number;
}

export interface RoomMeasured {
  readonly issue: Measured;
  readonly poll: Measured;
  /** What was not true; empty when all was. */
  readonly faults: readonly string[];
}

/** The room's own counts may be a tenth of a second old, and a round of admission is told over a second. */
const countsWaitMsMax = 3000;
const countsIntervalMs = 100;

/** An answer as it came, to be read when no request is due any more. */
interface Raw {
  readonly index: number;
  readonly status: number;
  readonly body: string;
  readonly writtenAtMs: number;
  readonly answeredAtMs: number;
}

/** Sends one request a user at the room's rate, and reads what came back. */
async function measure(
  stage: Stage,
  gateway: Gateway,
  room: Room,
  rate: Rate,
  label: string,
  texts: readonly string[],
): Promise<{ measured: Measured; raws: readonly Raw[] }> {
  const raws: Raw[] = [];
  const errorsBy: Record<string, number> = {};
  const onError = (name: string): void => {
    errorsBy[name] = (errorsBy[name] ?? 0) + 1;
  };
  const connections = await openConnections(room.target, Math.min(rate.connections, texts.length));
  const progress = await stage.add(() => startProgress(`${label} ${rate.perSecond}/s`, texts.length));
  const cpu = (): number => {
    const { userMs, systemMs } = cpuTimeOf(gateway.pid);
    return userMs + systemMs;
  };
  const cpuBeforeMs = cpu();
  const paced = await pace({
    target: room.target,
    connections,
    perSecond: rate.perSecond,
    total: texts.length,
    textOf: (index) => texts[index]!,
    onAnswer(index, { status, body }, writtenAtMs, answeredAtMs) {
      progress.done++;
      if (status === 200 || status === 201) raws.push({ index, status, body, writtenAtMs, answeredAtMs });
      else onError(`${status}`);
    },
    onLost(_index, reason) {
      progress.done++;
      onError(reason);
    },
  }).finally(() => progress.stop());
  const gatewayCpuMsPer1000 = ((cpu() - cpuBeforeMs) * 1000) / Math.max(1, paced.answered);
  return { measured: { ...paced, errors: texts.length - raws.length, errorsBy, gatewayCpuMsPer1000 }, raws };
}

/** What an answer tells; the ticket beside it. Null for a ticket that is over. */
function toldIn({ body, writtenAtMs, answeredAtMs }: Raw, user: number): { told: Told; ticket: string } | null {
  const { status, ticket, number, position } = JSON.parse(body);
  if (status !== 'waiting' && status !== 'admitted') return null;
  return { told: { user, number, position: position ?? 0, writtenAtMs, answeredAtMs }, ticket };
}

/** Fills a room, polls it, checks and closes it. Rejects when the gateway cannot be reached at all. */
export async function measureRoom(stage: Stage, gateway: Gateway, rate: Rate): Promise<RoomMeasured> {
  const room = await Room.create(gateway.url, jwtSecret);
  const path = `/v1/performances/${room.performanceId}/queue`;
  const users = rate.perSecond * rate.seconds;
  const joins = Array.from({ length: users }, (_, user) =>
    requestText(headText('POST', room.target, `${path}/tickets`, room.headersOf(user)), ''),
  );
  await room.admit(rate.admitPerSecond);
  const { measured: issue, raws: joined } = await measure(stage, gateway, room, rate, 'issue', joins);
  const faults: string[] = [];
  const issued: Told[] = [];
  const looks: { readonly user: number; readonly text: string }[] = [];
  for (const raw of joined) {
    const given = toldIn(raw, raw.index);
    if (raw.status !== 201 || given === null) {
      faults.push(`user ${raw.index} joined and was answered ${raw.status} ${raw.body}`);
      continue;
    }
    issued.push(given.told);
    const headers = { ...room.headersOf(raw.index), 'queue-ticket': given.ticket };
    const text = requestText(headText('GET', room.target, `${path}/tickets/current`, headers), '');
    looks.push({ user: raw.index, text });
  }
  const polls = await measure(
    stage,
    gateway,
    room,
    rate,
    'poll',
    looks.map(({ text }) => text),
  );
  const told = [...issued];
  for (const raw of polls.raws) {
    const { user } = looks[raw.index]!;
    const looked = toldIn(raw, user);
    if (looked === null) faults.push(`user ${user} looked and was answered ${raw.body}`);
    else told.push(looked.told);
  }
  await room.admit(0);
  const counts = await countsOf(`${gateway.url}${path}`, issued.length, told);
  await room.close();
  faults.push(...faultsOfNumbers(issued, counts, issue.errors === 0), ...faultsOfPositions(told, counts));
  return { issue, poll: polls.measured, faults };
}

/** The room's counts, once they know of what people were told, or will not. */
async function countsOf(url: string, tickets: number, told: readonly Told[]): Promise<RoomCounts> {
  const inside = told.reduce((most, { number, position }) => Math.max(most, number - position), 0);
  const endMs = performance.now() + countsWaitMsMax;
  for (;;) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`GET ${url}: ${response.status} ${await response.text()}`);
    const counts = (await response.json()) as RoomCounts;
    const isCurrent = counts.admitted >= inside && counts.issued >= tickets;
    if (isCurrent || performance.now() > endMs) return counts;
    await sleep(countsIntervalMs);
  }
}
