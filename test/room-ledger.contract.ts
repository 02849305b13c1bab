/** What every RoomLedger promises: run against a real MySQL, and against the fake that the simulation uses. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RoomLedger } from '../src/domain/stores.ts';
import type { Draw, Room, RoomSettings } from '../src/domain/waiting-room.ts';
import { clubPlan, type PlacesUnderTest } from './ledger.contract.ts';

export interface RoomLedgerUnderTest extends PlacesUnderTest {
  /** The same data, as two processes see it. */
  readonly rooms: readonly [RoomLedger, RoomLedger];
  /** Stores settings, the first or new ones; returns the room with its new revision. */
  writeRoom(performanceId: number, settings: RoomSettings): Promise<Room>;
}

const settings: RoomSettings = {
  mode: 'on',
  admitPerSecond: 50,
  maxActive: 500,
  passSeconds: 300,
  opensAtMs: null,
  drawBeforeOpen: false,
};

function drawOf(performanceId: number, firstArrival: number, lastArrival: number, digit: string): Draw {
  return { performanceId, firstArrival, lastArrival, seed: digit.repeat(64) };
}

export function roomLedgerContract(name: string, makeLedger: () => Promise<RoomLedgerUnderTest>): void {
  describe(`${name} as a ledger of waiting rooms`, () => {
    let under: RoomLedgerUnderTest;
    let ledger: RoomLedger;
    beforeAll(async () => {
      under = await makeLedger();
      ledger = under.rooms[0];
    });
    afterAll(() => under.close());

    const create = (): Promise<number> => under.create(clubPlan(10));
    const readRoom = async (performanceId: number) => (await under.snapshot(performanceId))!.room;

    describe('the tickets given out', () => {
      it('only grow', async () => {
        const id = await create();
        const room = await under.writeRoom(id, settings);
        expect(room).toEqual({ ...settings, revision: 1, issued: 0 });
        for (const [issued, expected] of [
          [10, 10],
          [7, 10],
          [10, 10],
          [2 ** 40, 2 ** 40],
          [11, 2 ** 40],
        ] as const) {
          await ledger.writeIssued(id, issued);
          expect(await readRoom(id)).toEqual({ ...room, issued: expected });
        }
      });

      it('written by two leaders at once are the most that either has seen', async () => {
        const id = await create();
        await under.writeRoom(id, settings);
        const counts = Array.from({ length: 20 }, (_, i) => ((i * 7) % 20) + 1);
        await Promise.all(counts.map((count, i) => under.rooms[i % 2 === 0 ? 0 : 1].writeIssued(id, count)));
        expect(await readRoom(id)).toMatchObject({ issued: 20 });
      });

      it('stay when the settings change, which has no revision from them', async () => {
        const id = await create();
        await under.writeRoom(id, settings);
        await ledger.writeIssued(id, 5);
        const changed = { ...settings, mode: 'off', maxActive: 1, opensAtMs: 1_000_000_000_000 } as const;
        const room = { ...changed, issued: 5, revision: 2 };
        expect(await under.writeRoom(id, changed)).toEqual(room);
        expect(await readRoom(id)).toEqual(room);
      });

      it('of a performance without a room are nobody’s', async () => {
        const id = await create();
        await ledger.writeIssued(id, 5);
        expect(await readRoom(id)).toBeNull();
      });

      it('of one room are not those of another', async () => {
        const [one, two] = [await create(), await create()];
        for (const id of [one, two]) await under.writeRoom(id, settings);
        await ledger.writeIssued(one, 5);
        expect(await readRoom(two)).toMatchObject({ issued: 0 });
      });
    });

    describe('a draw', () => {
      it('is stored once: the first seed is the one that counts', async () => {
        const id = await create();
        const first = drawOf(id, 1, 500, 'a');
        expect(await ledger.writeDraw(first)).toEqual(first);
        expect(await ledger.writeDraw(drawOf(id, 1, 500, 'b'))).toEqual(first);
        expect(await ledger.readDraws(id)).toEqual([first]);
      });

      it('keeps its range too, whatever a leader that is behind believes', async () => {
        const id = await create();
        const first = drawOf(id, 1, 500, 'a');
        await ledger.writeDraw(first);
        expect(await ledger.writeDraw(drawOf(id, 1, 400, 'b'))).toEqual(first);
      });

      it('by many leaders at once has one seed, which all of them are told', async () => {
        for (let round = 0; round < 10; round++) {
          const id = await create();
          const draws = [...'0123456789abcdef'].map((digit) => drawOf(id, 1, 9, digit));
          const stored = await Promise.all(draws.map((draw, i) => under.rooms[i % 2 === 0 ? 0 : 1].writeDraw(draw)));
          expect(new Set(stored.map(({ seed }) => seed)).size).toBe(1);
          expect(await under.rooms[1].readDraws(id)).toEqual([stored[0]]);
        }
      });

      it('is one of several, in order, each with its seed; those of other performances stand apart', async () => {
        const [id, another] = [await create(), await create()];
        const draws = [drawOf(id, 100, 2 ** 33, 'c'), drawOf(id, 1, 10, 'a'), drawOf(id, 11, 99, 'b')];
        for (const draw of draws) expect(await ledger.writeDraw(draw)).toEqual(draw);
        await ledger.writeDraw(drawOf(another, 1, 10, 'd'));
        expect(await ledger.readDraws(id)).toEqual([draws[1], draws[2], draws[0]]);
        expect(await ledger.readDraws(await create())).toEqual([]);
      });

      it('is refused with a seed that does not fit, not cut', async () => {
        const id = await create();
        await expect(ledger.writeDraw({ ...drawOf(id, 1, 2, 'a'), seed: 'a'.repeat(65) })).rejects.toThrow();
        expect(await ledger.readDraws(id)).toEqual([]);
      });
    });
  });
}
