import { afterEach, describe, expect, it, vi } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { RevokedToken } from '../persist/users.ts';
import { Revocations } from './revocations.ts';

function token(tokenId: string, inSeconds = 3600): RevokedToken {
  return { tokenId, endsAtMs: Date.now() + inSeconds * 1000 };
}

function fixture(stored: RevokedToken[] = []) {
  const clock = new ManualClock();
  const faults: { read: Error | null; write: Error | null; publish: Error | null } = {
    read: null,
    write: null,
    publish: null,
  };
  const told: RevokedToken[] = [];
  const counts = { pruned: 0, reads: 0 };
  const lines: string[] = [];
  const revocations = new Revocations({
    clock,
    async read() {
      counts.reads++;
      if (faults.read !== null) throw faults.read;
      return stored;
    },
    async write(each) {
      if (faults.write !== null) throw faults.write;
      stored.push(each);
    },
    async publish(each) {
      if (faults.publish !== null) throw faults.publish;
      told.push(each);
    },
    async prune() {
      counts.pruned++;
    },
    log: { warn: (message) => lines.push(message) },
  });
  return { revocations, clock, faults, stored, told, counts, lines };
}

afterEach(() => {
  vi.useRealTimers();
});

describe('tokens given back', () => {
  it('are those that MySQL has at the start, those of this process, and those it is told of', async () => {
    const { revocations, stored, told } = fixture([token('stored')]);
    expect(revocations.has('stored')).toBe(false);
    await revocations.start();
    await revocations.revoke(token('own'));
    revocations.onRevoked(token('told'));
    for (const id of ['stored', 'own', 'told']) expect(revocations.has(id)).toBe(true);
    expect(revocations.has('another')).toBe(false);
    expect(stored.map(({ tokenId }) => tokenId)).toEqual(['stored', 'own']);
    expect(told.map(({ tokenId }) => tokenId)).toEqual(['own']);
    revocations.stop();
  });

  it('are refused here only once MySQL has them: what is told to the client stays true', async () => {
    const { revocations, faults, told } = fixture();
    faults.write = new Error('mysql is away');
    await expect(revocations.revoke(token('a'))).rejects.toThrow('mysql is away');
    expect([revocations.has('a'), told]).toEqual([false, []]);
  });

  it('are refused here also when nobody else could be told, and the client learns of it', async () => {
    const { revocations, faults, stored } = fixture();
    faults.publish = new Error('redis is away');
    await expect(revocations.revoke(token('a'))).rejects.toThrow('redis is away');
    expect([revocations.has('a'), stored.length]).toEqual([true, 1]);
  });

  it('are read again after a gap, for as long as it takes', async () => {
    const { revocations, clock, faults, stored, counts, lines } = fixture();
    await revocations.start();
    stored.push(token('missed'));
    faults.read = new Error('mysql is away');
    const gap = revocations.onGap();
    await clock.advance(5000);
    expect(revocations.has('missed')).toBe(false);
    expect(counts.reads).toBeGreaterThan(5);
    expect(lines.length).toBeGreaterThan(5);
    faults.read = null;
    await clock.advance(500);
    await gap;
    expect(revocations.has('missed')).toBe(true);
    revocations.stop();
  });

  it('are not read again once it has stopped', async () => {
    const { revocations, clock, faults } = fixture();
    await revocations.start();
    faults.read = new Error('mysql is away');
    const gap = revocations.onGap();
    await clock.turn();
    revocations.stop();
    await clock.advance(500);
    await gap;
    expect(clock.timers).toBe(0);
  });

  it('are forgotten when they have ended by themselves, and not before', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const { revocations, clock, counts } = fixture([token('short', 30), token('long', 3600)]);
    await revocations.start();
    vi.setSystemTime(Date.now() + 61_000);
    await clock.advance(61_000);
    expect([revocations.has('short'), revocations.has('long')]).toEqual([false, true]);
    expect(counts.pruned).toBe(1);
    await clock.advance(60_000);
    expect(counts.pruned).toBe(2);
    revocations.stop();
    await clock.advance(600_000);
    expect(counts.pruned).toBe(2);
  });

  it('that never end fit the calendar of MySQL all the same', async () => {
    const { revocations, stored } = fixture();
    for (const endsAtMs of [1e300, Number.POSITIVE_INFINITY, 8.64e15 + 1]) {
      await revocations.revoke({ tokenId: String(endsAtMs), endsAtMs });
      expect(new Date(stored.at(-1)!.endsAtMs).getUTCFullYear()).toBe(9999);
      expect(revocations.has(String(endsAtMs))).toBe(true);
    }
  });
});
