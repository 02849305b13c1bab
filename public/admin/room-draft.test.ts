/** Settings of a room between the gateway and the form. */
import { describe, expect, it } from 'vitest';
import { differencesOf, draftOf, isTouched, type RoomSettings, requestOf } from './room-draft.ts';
import { isoOfLocal, localOfIso } from './times.ts';

const settings: RoomSettings = {
  mode: 'on',
  admitPerSecond: 0.5,
  maxActive: 200,
  passSeconds: 120,
  opensAt: '2030-05-01T09:00:30.250Z',
  drawBeforeOpen: true,
};

describe('a draft', () => {
  it('that nobody touched asks for what is in force, to the millisecond', () => {
    const draft = draftOf(settings);
    expect(isTouched(draft, settings)).toBe(false);
    expect(requestOf('on', draft, settings)).toEqual(settings);
  });

  it('asks for what was typed', () => {
    const draft = { ...draftOf(settings), admitPerSecond: '20', opensAt: '', drawBeforeOpen: false };
    expect(isTouched(draft, settings)).toBe(true);
    expect(requestOf('on', draft, settings)).toEqual({
      ...settings,
      admitPerSecond: 20,
      opensAt: null,
      drawBeforeOpen: false,
    });
  });

  it('of a room that was never on begins with something the gateway takes', () => {
    const never = { ...settings, mode: 'off', admitPerSecond: 0, maxActive: 0, passSeconds: 300 } as const;
    expect(draftOf(never)).toMatchObject({ admitPerSecond: '50', maxActive: '500', passSeconds: '300' });
    expect(isTouched(draftOf(never), never)).toBe(false);
    // A pause of a room that is on stays one.
    expect(draftOf({ ...settings, admitPerSecond: 0 }).admitPerSecond).toBe('0');
  });

  it('is told what became another', () => {
    expect(differencesOf(settings, { ...settings, mode: 'off', maxActive: 3 })).toEqual(['mode', 'maxActive']);
    expect(differencesOf(settings, { ...settings })).toEqual([]);
  });
});

describe('times', () => {
  it('come back as they were, to the minute, whatever the zone', () => {
    for (const iso of ['2030-06-01T19:30:00.000Z', '2030-01-01T00:00:00.000Z', '2029-12-31T23:59:00.000Z']) {
      expect(isoOfLocal(localOfIso(iso))).toBe(iso);
    }
    expect(localOfIso('2030-06-01T19:30:59.999Z')).toMatch(/^2030-06-0[12]T\d\d:\d\d$/);
  });

  it('are none where the field is empty', () => {
    expect([isoOfLocal(''), isoOfLocal('soon'), localOfIso(null)]).toEqual([null, null, '']);
  });
});
