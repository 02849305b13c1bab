/** The settings of a room in a form: what somebody types, what was in force when they began, and what is in force now. No DOM. */
import type { Queue, QueueRequest } from '../../src/client/index.ts';
import { isoOfLocal, localOfIso } from './times.ts';

export type RoomSettings = Required<QueueRequest> & { readonly opensAt: string | null };

/** As the fields have them. */
export interface RoomDraft {
  readonly admitPerSecond: string;
  readonly maxActive: string;
  readonly passSeconds: string;
  readonly opensAt: string;
  readonly drawBeforeOpen: boolean;
}

/** For a room that was never on. */
const first = { admitPerSecond: 50, maxActive: 500 } as const;

export function settingsOf(queue: Queue): RoomSettings {
  const { mode, admitPerSecond, maxActive, passSeconds, opensAt, drawBeforeOpen } = queue;
  return { mode, admitPerSecond, maxActive, passSeconds, opensAt, drawBeforeOpen };
}

export function draftOf(settings: RoomSettings): RoomDraft {
  const { mode, maxActive, passSeconds, opensAt, drawBeforeOpen } = settings;
  const isFresh = mode === 'off' && maxActive < 1;
  return {
    admitPerSecond: String(isFresh ? first.admitPerSecond : settings.admitPerSecond),
    maxActive: String(maxActive < 1 ? first.maxActive : maxActive),
    passSeconds: String(passSeconds < 1 ? 300 : passSeconds),
    opensAt: localOfIso(opensAt),
    drawBeforeOpen,
  };
}

/** What is sent for a draft. A time that was not touched stays as it is, to the millisecond. */
export function requestOf(mode: 'on' | 'off', draft: RoomDraft, base: RoomSettings): RoomSettings {
  return {
    mode,
    admitPerSecond: Number(draft.admitPerSecond),
    maxActive: Number(draft.maxActive),
    passSeconds: Number(draft.passSeconds),
    opensAt: draft.opensAt === localOfIso(base.opensAt) ? base.opensAt : isoOfLocal(draft.opensAt),
    drawBeforeOpen: draft.drawBeforeOpen,
  };
}

export function isTouched(draft: RoomDraft, base: RoomSettings): boolean {
  const untouched = draftOf(base);
  return (Object.keys(untouched) as (keyof RoomDraft)[]).some((name) => draft[name] !== untouched[name]);
}

/** The settings in which two differ. */
export function differencesOf(before: RoomSettings, after: RoomSettings): (keyof RoomSettings)[] {
  return (Object.keys(before) as (keyof RoomSettings)[]).filter((name) => before[name] !== after[name]);
}
