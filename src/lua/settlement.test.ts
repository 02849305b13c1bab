/** What a load waits for before it reads MySQL, on a bus and a clock of the test's own. */
import { expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import { silentLog } from '../logger.ts';
import { settleChannel, settledChannel } from './keys.ts';
import { Settlement } from './settlement.ts';
import type { OnMessage } from './subscriber.ts';

/** One gateway, which hears itself, on a bus that says since when it hears. */
async function fixture(reconnectGraceMs: number) {
  const clock = new ManualClock();
  const handlers = new Map<string, OnMessage>();
  let asked = 0;
  const bus = {
    heardSinceMs: Number.NEGATIVE_INFINITY as number | null,
    async subscribe(channel: string, onMessage: OnMessage) {
      handlers.set(channel, onMessage);
    },
    async publish(channel: string, message: string) {
      if (channel === settleChannel) asked++;
      handlers.get(channel)!(Buffer.from(message));
    },
    subscribersOf: async () => 1,
  };
  const settlement = new Settlement({ bus, clock, settled: async () => {}, reconnectGraceMs, log: silentLog });
  await settlement.start();
  expect([...handlers.keys()].sort()).toEqual([settleChannel, settledChannel].sort());
  let result: string | null = null;
  const load = () => {
    settlement.settleEverywhere(1).then(
      () => (result = 'settled'),
      (thrown: Error) => (result = thrown.message),
    );
    return clock.turn();
  };
  return { clock, bus, load, asked: () => asked, result: () => result };
}

it('without a gap the gateways are asked at once', async () => {
  const { load, asked, result } = await fixture(1000);
  await load();
  expect([asked(), result()]).toEqual([1, 'settled']);
});

it('after a gap the gateways are asked once the last of them had time to be back', async () => {
  const { clock, bus, load, asked, result } = await fixture(1000);
  bus.heardSinceMs = null;
  await load();
  await clock.advance(500);
  bus.heardSinceMs = clock.nowMs();
  await clock.advance(990);
  expect(asked()).toBe(0);
  await clock.advance(30);
  expect([asked(), result()]).toEqual([1, 'settled']);
});

it('nobody is waited for where nothing acknowledged is uncommitted', async () => {
  const { bus, load, result } = await fixture(0);
  bus.heardSinceMs = null;
  await load();
  expect(result()).toBe('settled');
});

it('a load that hears nothing for long is given up, and no gateway was asked', async () => {
  const { clock, bus, load, asked, result } = await fixture(1000);
  bus.heardSinceMs = null;
  await load();
  await clock.advance(3100);
  expect(asked()).toBe(0);
  expect(result()).toMatch(/not heard/);
  expect(clock.timers).toBe(0);
});
