import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { RoomStore } from '../domain/stores.ts';
import type { Room, RoomSettings, RoomState } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { Database, Parameter } from '../persist/database.ts';
import { Rooms } from './rooms.ts';

const settings: RoomSettings = {
  mode: 'on',
  admitPerSecond: 5,
  maxActive: 10,
  passSeconds: 60,
  opensAtMs: null,
  drawBeforeOpen: false,
};

function stateOf(issued: number): RoomState {
  return { ...settings, issued, admitted: 0, waiting: issued, active: 0 };
}

function makeRooms() {
  const clock = new ManualClock();
  const calls: string[] = [];
  /** What Redis has of a room; null while its performance is cold. */
  const states = new Map<number, RoomState | null>();
  const faults = { state: null as Error | null, configure: null as Error | null, mysql: null as Error | null };
  const store: Partial<RoomStore> = {
    async state(performanceId) {
      calls.push(`state ${performanceId}`);
      // A state takes its time: those who ask meanwhile share it.
      await clock.turn();
      if (faults.state !== null) throw faults.state;
      return states.get(performanceId) ?? null;
    },
    async configure(performanceId: number, room: Room) {
      calls.push(`configure ${performanceId} at ${room.revision}`);
      if (faults.configure !== null) throw faults.configure;
      states.set(performanceId, { ...stateOf(0), maxActive: room.maxActive });
    },
  };
  let revision = 0;
  let written: readonly Parameter[] = [];
  const transaction = {
    async write(_: string, parameters: readonly Parameter[]) {
      calls.push('write');
      if (faults.mysql !== null) throw faults.mysql;
      revision++;
      written = parameters;
    },
    rows: async () => [
      {
        revision,
        mode: written[1],
        admit_per_second: written[2],
        max_active: written[3],
        pass_seconds: written[4],
        opens_at: null,
        draw_before_open: written[6],
        issued: 0,
      },
    ],
  };
  const database = { transaction: (work: (on: unknown) => Promise<unknown>) => work(transaction) };
  const exists = new Set([1, 2]);
  const rooms = new Rooms({
    clock,
    store: store as RoomStore,
    database: database as unknown as Database,
    async warm(performanceId) {
      calls.push(`warm ${performanceId}`);
      if (!exists.has(performanceId)) return 'not_found';
      if (states.get(performanceId) === null) states.set(performanceId, stateOf(7));
      return 'warm';
    },
  });
  return { clock, calls, states, faults, rooms };
}

describe('the state of a room', () => {
  it('is read once for all who look within 100 ms', async () => {
    const { clock, calls, states, rooms } = makeRooms();
    states.set(1, stateOf(3));
    const looks = await Promise.all([rooms.state(1), rooms.state(1), rooms.state(1)]);
    expect(looks).toEqual([stateOf(3), stateOf(3), stateOf(3)]);
    states.set(1, stateOf(4));
    await clock.advance(99);
    expect(await rooms.state(1)).toEqual(stateOf(3));
    expect(calls).toEqual(['state 1']);
    await clock.advance(1);
    expect(await rooms.state(1)).toEqual(stateOf(4));
    expect(calls).toEqual(['state 1', 'state 1']);
  });

  it('is each room’s own', async () => {
    const { calls, states, rooms } = makeRooms();
    states.set(1, stateOf(3));
    states.set(2, stateOf(9));
    expect([await rooms.state(1), await rooms.state(2)]).toEqual([stateOf(3), stateOf(9)]);
    expect(calls).toEqual(['state 1', 'state 2']);
  });

  it('of a cold performance is read after its load, once', async () => {
    const { calls, states, rooms } = makeRooms();
    states.set(1, null);
    expect(await Promise.all([rooms.state(1), rooms.state(1)])).toEqual([stateOf(7), stateOf(7)]);
    expect(calls).toEqual(['state 1', 'warm 1', 'state 1']);
  });

  it('of a performance that does not exist is none', async () => {
    const { calls, rooms } = makeRooms();
    expect(await rooms.state(99)).toBeNull();
    expect(calls).toEqual(['state 99', 'warm 99']);
  });

  it('rejects while Redis is away, and is read again a moment later', async () => {
    const { clock, states, faults, rooms } = makeRooms();
    states.set(1, stateOf(3));
    faults.state = new StoreUnavailable('redis', 'away');
    await expect(rooms.state(1)).rejects.toThrow(StoreUnavailable);
    faults.state = null;
    await clock.advance(100);
    expect(await rooms.state(1)).toEqual(stateOf(3));
  });

  it('is kept of a limited number of rooms', async () => {
    const { calls, states, rooms } = makeRooms();
    for (let id = 1; id <= 3000; id++) {
      states.set(id, stateOf(id));
      expect((await rooms.state(id))!.issued).toBe(id);
    }
    calls.length = 0;
    await rooms.state(3000);
    await rooms.state(1);
    expect(calls).toEqual(['state 1']);
  });
});

describe('settings', () => {
  it('are written to MySQL first, then put in force, and seen at once', async () => {
    const { calls, states, rooms } = makeRooms();
    states.set(1, stateOf(3));
    await rooms.state(1);
    calls.length = 0;
    expect(await rooms.configure(1, { ...settings, maxActive: 44 })).toMatchObject({ maxActive: 44 });
    expect(calls).toEqual(['warm 1', 'write', 'configure 1 at 1', 'state 1']);
    expect(await rooms.state(1)).toMatchObject({ maxActive: 44 });
  });

  it('of a performance that does not exist are written nowhere', async () => {
    const { calls, rooms } = makeRooms();
    expect(await rooms.configure(99, settings)).toBeNull();
    expect(calls).toEqual(['warm 99']);
  });

  it('are not in force when MySQL refuses them', async () => {
    const { calls, states, faults, rooms } = makeRooms();
    states.set(1, stateOf(3));
    faults.mysql = new StoreUnavailable('mysql', 'away');
    await expect(rooms.configure(1, settings)).rejects.toThrow(StoreUnavailable);
    expect(calls).toEqual(['warm 1', 'write']);
  });

  it('that reached MySQL alone are in force when they are sent again', async () => {
    const { calls, states, faults, rooms } = makeRooms();
    states.set(1, stateOf(3));
    faults.configure = new StoreUnavailable('redis', 'away');
    await expect(rooms.configure(1, { ...settings, maxActive: 5 })).rejects.toThrow(StoreUnavailable);
    faults.configure = null;
    expect(await rooms.configure(1, { ...settings, maxActive: 5 })).toMatchObject({ maxActive: 5 });
    expect(calls.filter((call) => call.startsWith('configure'))).toEqual(['configure 1 at 1', 'configure 1 at 2']);
  });
});
