/** queue-admit.lua on MemoryRedis: one round of admission of one waiting room. */
import type { Admission } from '../../src/domain/waiting-room.ts';
import type { AdmitReply } from '../../src/lua/rooms.ts';
import type { MemoryRedis, PerformanceData } from './memory-redis.ts';

const catchUpMs = 2000;
const [sweepMs, sweepMax] = [1000, 1000];
const [outageMs, graceMs] = [10_000, 60_000];
const admitMax = 5000;
const rateMemoryMs = 30_000;
/** What a rate that adds up to a whole person may lack by rounding. */
const roundingError = 1e-6;

/** A number as Redis gives it back: printed with so many digits, a tie to the even one. */
function printed(number: number, digits: number): number {
  const scaled = number * 10 ** digits;
  const isTie = Math.abs(scaled % 1) === 0.5 && Number.isInteger(number * 2 ** (digits + 1));
  if (!isTie) return Number(number.toFixed(digits));
  const below = Math.floor(scaled);
  return (below % 2 === 0 ? below : below + 1) / 10 ** digits;
}

/** Those who are gone leave, and passes whose time is over end. */
function sweep(data: PerformanceData, nowMs: number, isGrace: boolean, isEarly: boolean) {
  const expired = data.active.upTo(nowMs, sweepMax);
  const absent = isGrace ? [] : data.seen.upTo(nowMs, sweepMax);
  for (const userId of absent) data.seen.delete(userId);
  const isIn = (userId: number): boolean =>
    data.waiting.scoreOf(userId) !== undefined || (isEarly && data.early.scoreOf(userId) !== undefined);
  const gone = absent.filter(isIn);
  for (const userId of expired) {
    const ticket = data.tickets.get(userId);
    if (ticket !== undefined) data.tickets.set(userId, { ...ticket, state: 'X' });
    data.active.delete(userId);
    data.used.delete(userId);
  }
  for (const userId of gone) {
    const ticket = data.tickets.get(userId);
    if (ticket !== undefined) data.tickets.set(userId, { ...ticket, state: 'L' });
    data.line.set(ticket?.number ?? 0, 0);
    data.waiting.delete(userId);
    if (isEarly) data.early.delete(userId);
  }
  return { expired, left: gone.length, isAll: expired.length < sweepMax && absent.length < sweepMax };
}

/** What a rate measured so far becomes by a round. */
function rateAfter(rate: number, count: number, passedMs: number, measuredMs: number): number {
  const memoryMs = Math.max(Math.min(measuredMs, rateMemoryMs), passedMs, 1);
  const next = rate + (passedMs / memoryMs) * ((count * 1000) / Math.max(passedMs, 1) - rate);
  return next < 0.001 ? 0 : next;
}

/** queue-admit.lua; null when there is no room here. */
export function admit(redis: MemoryRedis, performanceId: number, roundMs: number): AdmitReply | null {
  const data = redis.of(performanceId);
  const { queue } = data;
  if (queue === null) return null;
  const { rate, maxActive, passMs, issued = 0, at, earlyFrom } = queue;
  let { watermark, earlyTo, allowance, sweptAt, saidAt, graceUntil, measuredRate, measuredFrom } = queue;
  const isOn = queue.mode === 'on';
  const nowMs = redis.timeMs();
  if (at > 0 && nowMs - at > outageMs) graceUntil = nowMs + graceMs;
  const passedMs = at > 0 ? Math.max(0, Math.min(nowMs - at, catchUpMs)) : roundMs;
  const isDue = (lastMs: number): boolean => nowMs - lastMs >= sweepMs - roundMs / 2;

  let swept: { expired: number[]; left: number } = { expired: [], left: 0 };
  if (isDue(sweptAt)) {
    const { isAll, ...done } = sweep(data, nowMs, nowMs < graceUntil, earlyFrom > 0);
    swept = done;
    if (isAll) sweptAt = nowMs;
  }

  const isOpen = !isOn || nowMs >= queue.opensAt;
  if (earlyFrom > 0 && earlyTo === 0 && (isOpen || !queue.draw)) earlyTo = issued;

  let popped: { readonly member: number; readonly score: number }[] = [];
  if (isOpen && earlyFrom === 0) {
    const earned = allowance + (rate * passedMs) / 1000;
    const due = Math.floor(earned + roundingError);
    // A room that is off lets everybody through; a rate of 0 is a pause, also for what was earned before.
    const paced = rate > 0 ? Math.min(due, maxActive - data.active.size) : 0;
    const free = Math.min(admitMax, isOn ? paced : admitMax);
    if (free > 0) popped = data.waiting.pop(free);
    const rest = Math.max(0, earned - popped.length);
    // Time that admits nobody earns nothing, but for the one who comes next.
    allowance = popped.length >= due ? rest : Math.min(rest, 1);
    if (popped.length > 0 || data.waiting.size > 0) {
      if (measuredFrom === 0) measuredFrom = nowMs - passedMs;
      measuredRate = rateAfter(measuredRate, popped.length, passedMs, nowMs - measuredFrom);
    }
  }
  const count = popped.length;
  const admitted: Admission[] = popped.map(({ member: userId, score: number }, i) => {
    const passEndsAtMs = Math.floor(nowMs + (i * roundMs) / count + passMs);
    data.active.set(userId, passEndsAtMs);
    watermark = Math.max(watermark, number);
    return { userId, number, passEndsAtMs };
  });

  const isSaid = isDue(saidAt);
  if (isSaid) saidAt = nowMs;
  data.queue = {
    ...queue,
    admitted: queue.admitted + count,
    watermark,
    earlyTo,
    at: printed(nowMs, 3),
    allowance: printed(allowance, 9),
    sweptAt: printed(sweptAt, 3),
    saidAt: printed(saidAt, 3),
    graceUntil: printed(graceUntil, 3),
    measuredRate: printed(measuredRate, 3),
    measuredFrom: printed(measuredFrom, 3),
  };
  const { expired, left } = swept;
  if (isSaid || count > 0 || expired.length > 0) {
    const firstByte = Math.floor((watermark + 1) / 8);
    // While a draw is due its tickets have no bits yet, and those behind them would seem to be first.
    const isLine = isSaid && earlyTo === 0;
    const line = isLine ? { firstNumber: firstByte * 8, bits: data.line.from(firstByte) } : null;
    redis.news.room({ performanceId, roundMs, watermark, rate: measuredRate, admitted, expired, line, isDrawn: false });
  }
  return [isOn ? 1 : 0, count, expired.length, left, issued, earlyTo > 0 ? earlyFrom : 0, earlyTo];
}
