import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import { Presence } from './presence.ts';

const absenceMs = 60_000;

function makePresence() {
  const clock = new ManualClock();
  const present = new Map<number, number[]>();
  const reports: string[] = [];
  const warnings: string[] = [];
  const store: { fault: Error | null } = { fault: null };
  const presence = new Presence({
    clock,
    async seen(performanceId, userIds, forMs) {
      reports.push(`${performanceId}: ${userIds.join(' ')} for ${forMs} at ${clock.nowMs()}`);
      if (store.fault !== null) throw store.fault;
    },
    absenceMs,
    presentIn: (performanceId) => present.get(performanceId) ?? [],
    log: { warn: (message) => warnings.push(message) },
  });
  return { clock, present, reports, warnings, store, presence };
}

describe('who waits in a room with a socket here', () => {
  it('is reported every 20 seconds, for one absence beyond the next report', async () => {
    const { clock, present, reports, presence } = makePresence();
    present.set(1, [5, 6]);
    presence.open(1);
    await clock.advance(19_999);
    expect(reports).toEqual([]);
    await clock.advance(1);
    present.set(1, [6, 7]);
    await clock.advance(40_000);
    expect(reports).toEqual(['1: 5 6 for 80000 at 20000', '1: 6 7 for 80000 at 40000', '1: 6 7 for 80000 at 60000']);
  });

  it('is reported room by room, not where nobody waits, and not after the room is closed', async () => {
    const { clock, present, reports, presence } = makePresence();
    present.set(1, [5]);
    present.set(2, [5, 6]);
    for (const id of [1, 2, 3]) presence.open(id);
    await clock.advance(20_000);
    presence.close(1);
    presence.close(4);
    await clock.advance(20_000);
    expect(reports).toEqual(['1: 5 for 80000 at 20000', '2: 5 6 for 80000 at 20000', '2: 5 6 for 80000 at 40000']);
    presence.close(2);
    presence.close(3);
    expect(clock.timers).toBe(0);
  });

  it('is reported again 20 seconds later when Redis was away', async () => {
    const { clock, present, reports, warnings, store, presence } = makePresence();
    present.set(1, [5]);
    presence.open(1);
    store.fault = new Error('no Redis');
    await clock.advance(20_000);
    store.fault = null;
    await clock.advance(20_000);
    expect(reports).toHaveLength(2);
    expect(warnings).toEqual(['those who wait were not reported']);
  });
});

describe('whose last socket has closed', () => {
  it('is absent from then on: one report for all of a moment', async () => {
    const { clock, reports, presence } = makePresence();
    presence.leave(1, 5);
    await clock.advance(100);
    presence.leave(1, 6);
    presence.leave(1, 5);
    presence.leave(2, 7);
    await clock.advance(100);
    expect(reports).toEqual(['1: 5 6 for 60000 at 200']);
    await clock.advance(100);
    expect(reports.slice(1)).toEqual(['2: 7 for 60000 at 300']);
    presence.leave(1, 8);
    await clock.advance(1000);
    expect(reports.slice(2)).toEqual(['1: 8 for 60000 at 500']);
  });

  it('and who is back on another one is not', async () => {
    const { clock, present, reports, presence } = makePresence();
    presence.leave(1, 5);
    presence.leave(1, 6);
    present.set(1, [5]);
    await clock.advance(1000);
    expect(reports).toEqual(['1: 6 for 60000 at 200']);
    presence.leave(1, 5);
    await clock.advance(1000);
    expect(reports).toHaveLength(1);
  });
});

describe('a gateway that stops', () => {
  it('reports all who wait here for one absence, and nothing after', async () => {
    const { clock, present, reports, presence } = makePresence();
    present.set(1, [5, 6]);
    present.set(2, [7]);
    for (const id of [1, 2, 3]) presence.open(id);
    await presence.stop();
    expect(reports).toEqual(['1: 5 6 for 60000 at 0', '2: 7 for 60000 at 0']);
    await clock.advance(100_000);
    expect(reports).toHaveLength(2);
  });

  it('stops though Redis is away', async () => {
    const { present, warnings, store, presence } = makePresence();
    present.set(1, [5]);
    presence.open(1);
    store.fault = new Error('no Redis');
    await presence.stop();
    expect(warnings).toHaveLength(1);
  });
});
