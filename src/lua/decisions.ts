/** What hold.lua is sent and what it answers, in the words of the batcher. */
import { Code } from '../domain/codes.ts';
import type { HoldRequest, JournalEntry, Refusal } from '../domain/reservation.ts';
import type { HoldDecision, HoldGroup } from '../domain/stores.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { scriptPackr } from './journal.ts';

/** First element of a result of hold.lua. */
export const HoldCode = {
  held: 0,
  heldBefore: 1,
  seatTaken: 2,
  soldOut: 3,
  alreadyReserved: 4,
  notOpen: 5,
  closed: 6,
  noSeat: 7,
  wrongKind: 8,
  partyTooLarge: 9,
  passRequired: 10,
  passInvalid: 11,
} as const;

/** `[remaining, price, holdSeconds, endMs, journalId, results, isUnsure]`, see hold.lua. */
export type HoldReply = [number, number, number, number, string, HoldResult[], number];
export type HoldResult = [number, ...unknown[]];

// Refusals without a detail of their own are made once: the rush is made of them.
const soldOut: HoldDecision = refuse({ code: Code.soldOut, detail: 'Not enough places are left.' });
const notOpen: HoldDecision = refuse({ code: Code.bookingNotOpen, detail: 'Booking has not opened yet.' });
const closed: HoldDecision = refuse({ code: Code.bookingClosed, detail: 'Booking is closed.' });
const passRequired: HoldDecision = refuse({
  code: Code.queuePassRequired,
  detail: 'This performance has a waiting room: join it, and send the pass as Queue-Pass.',
});
const passInvalid: HoldDecision = refuse({
  code: Code.queuePassInvalid,
  detail: 'The queue pass is not yours, over, or used by a reservation that lives.',
});
const cold: HoldDecision = { kind: 'cold' };

function refuse(refusal: Refusal): HoldDecision {
  return { kind: 'refused', refusal };
}

/** Keeps the last `remaining` a script call reported, for the memory queue's sold-out answers. */
export type RemainingListener = (performanceId: number, remaining: number) => void;

/**
 * One decision a request, of the groups of one call; `onRemaining` gets the places left where the script has said them.
 */
export function decisionsOf(
  groups: readonly HoldGroup[],
  reply: unknown,
  onRemaining: RemainingListener,
): HoldDecision[][] {
  if (!Buffer.isBuffer(reply)) {
    const error = reply instanceof Error ? reply : new StoreUnavailable('redis', 'unexpected reply of hold.lua');
    return groups.map((group) => failed(group, error));
  }
  // A reply a performance: false when it is not warm, a text with what is broken.
  const replies: (HoldReply | false | string | undefined)[] = scriptPackr.unpack(reply);
  return groups.map((group, i) => {
    const own = replies[i];
    if (own === false) return group.requests.map(() => cold);
    if (typeof own === 'object') return decisionsFrom(group, own, onRemaining);
    return failed(group, new StoreUnavailable('redis', own ?? 'hold.lua answered short'));
  });
}

function failed({ requests }: HoldGroup, error: Error): HoldDecision[] {
  return requests.map(() => ({ kind: 'failed', error }));
}

/** As `decisionsOf`, of a reply that is read already. */
export function decisionsFrom(
  { performanceId, requests }: HoldGroup,
  [remaining, price, holdSeconds, endMs, journalId, results, isUnsure]: HoldReply,
  onRemaining: RemainingListener,
): HoldDecision[] {
  onRemaining(performanceId, remaining);
  const grant: Grant = { price, holdSeconds, endMs, journal: { id: journalId, open: 0 }, isUnsure: isUnsure === 1 };
  const decisions: HoldDecision[] = new Array(requests.length);
  for (let i = 0; i < requests.length; i++) {
    const result = results[i];
    decisions[i] =
      result === undefined
        ? { kind: 'failed', error: new StoreUnavailable('redis', 'hold.lua answered short') }
        : decisionOf(requests[i]!, result, grant);
  }
  return decisions;
}

/** The requests of groups as hold.lua takes them. */
export function packRequests(groups: readonly HoldGroup[]): Buffer {
  return scriptPackr.pack(groups.map(rowsOf));
}

function rowsOf({ requests }: HoldGroup): unknown[] {
  const rows: unknown[] = new Array(requests.length);
  for (let i = 0; i < requests.length; i++) {
    const { reservationId, userId, partySize, seats, pass } = requests[i]!;
    rows[i] = [reservationId, String(userId), partySize, seats, pass];
  }
  return rows;
}

/** What the grants of one script call have in common. */
interface Grant {
  readonly price: number;
  readonly holdSeconds: number;
  readonly endMs: number;
  readonly journal: JournalEntry;
  readonly isUnsure: boolean;
}

function holdOf(
  request: HoldRequest,
  grant: Grant,
  expiresAtMs: number,
  versions: readonly number[],
  supersedes: readonly string[],
  journal: JournalEntry | null,
): HoldDecision {
  const { reservationId, performanceId, userId, seats, partySize } = request;
  const amount = grant.price * (partySize === 0 ? seats.length : partySize);
  return {
    kind: 'held',
    isUnsure: grant.isUnsure,
    hold: {
      reservationId,
      performanceId,
      userId,
      seats,
      partySize,
      versions,
      amount,
      holdMs: grant.holdSeconds * 1000,
      expiresAtMs,
      journal,
      supersedes,
    },
  };
}

function decisionOf(request: HoldRequest, result: HoldResult, grant: Grant): HoldDecision {
  switch (result[0]) {
    case HoldCode.held: {
      const [, versions, supersedes] = result as [number, number[], string[]];
      grant.journal.open++;
      return holdOf(request, grant, grant.endMs, versions, supersedes, grant.journal);
    }
    case HoldCode.heldBefore: {
      const [, expiresAtMs, versions, supersedes] = result as [number, number, number[], string[]];
      return holdOf(request, grant, expiresAtMs, versions, supersedes, null);
    }
    case HoldCode.seatTaken:
      return refuse({ code: Code.seatTaken, detail: 'A seat is taken.', seats: result.slice(1) as number[] });
    case HoldCode.soldOut:
      return soldOut;
    case HoldCode.alreadyReserved:
      return refuse({
        code: Code.alreadyReserved,
        detail: 'The user has as many reservations for this performance as one may have.',
        reservationId: result[1] as string,
      });
    case HoldCode.notOpen:
      return notOpen;
    case HoldCode.closed:
      return closed;
    case HoldCode.passRequired:
      return passRequired;
    case HoldCode.passInvalid:
      return passInvalid;
    case HoldCode.noSeat:
      return refuse({ code: Code.seatNotFound, detail: 'No such seat.', seats: result.slice(1) as number[] });
    case HoldCode.wrongKind: {
      const path = request.partySize === 0 ? '/seats' : '/partySize';
      const message =
        request.partySize === 0
          ? 'this performance has places without numbers: send partySize'
          : 'this performance has numbered seats: send seats';
      return refuse({ code: Code.validationFailed, detail: message, errors: [{ path, message }] });
    }
    case HoldCode.partyTooLarge: {
      const message = `must be ${result[1]} or less`;
      return refuse({ code: Code.validationFailed, detail: message, errors: [{ path: '/partySize', message }] });
    }
    default:
      return { kind: 'failed', error: new StoreUnavailable('redis', `hold.lua answered ${result[0]}`) };
  }
}
