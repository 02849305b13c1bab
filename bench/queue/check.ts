/** Is what people were told of their places in a room true? */

/** One answer. */
export interface Told {
  /** Counted from 0. */
  readonly user: number;
  readonly number: number;
  /** 0 once admitted. */
  readonly position: number;
  /** By `performance.now()`: when it was asked, and when its answer was complete. */
  readonly writtenAtMs: number;
  readonly answeredAtMs: number;
}

/** What the room says of itself once nobody is on the way to it. */
export interface RoomCounts {
  readonly issued: number;
  readonly admitted: number;
}

const examplesMax = 3;

/** The tickets as they were given out: all different, and 1 to n where every request had its answer. */
export function faultsOfNumbers(issued: readonly Told[], counts: RoomCounts, isComplete: boolean): string[] {
  const faults: string[] = [];
  const userOf = new Map<number, number>();
  for (const { user, number } of issued) {
    const other = userOf.get(number);
    if (other !== undefined) faults.push(`number ${number} went to user ${other} and to user ${user}`);
    else if (!Number.isInteger(number) || number < 1 || number > counts.issued) {
      faults.push(`user ${user} got number ${number} of ${counts.issued}`);
    }
    userOf.set(number, user);
  }
  // A request without an answer may have got a number, which nobody knows.
  if (isComplete && counts.issued !== issued.length) {
    faults.push(`${counts.issued} numbers are out for ${issued.length} tickets`);
  }
  return examplesOf(faults);
}

/**
 * The positions: nobody leaves these rooms, and people are admitted in the order of their numbers, so number less position
 * is how many were inside at that moment. That count never falls: an answer to a question that was asked after another
 * answer had come must know of as many, and never of more than there are in the end. So no position grows, and each is
 * the count of those who wait before, and one.
 */
export function faultsOfPositions(told: readonly Told[], counts: RoomCounts): string[] {
  const faults: string[] = [];
  const numberOf = new Map<number, number>();
  const byAnswer = [...told].sort((a, b) => a.answeredAtMs - b.answeredAtMs);
  const byQuestion = [...told].sort((a, b) => a.writtenAtMs - b.writtenAtMs);
  let inside = 0;
  let seen = 0;
  for (const { user, number, position, writtenAtMs } of byQuestion) {
    for (; seen < byAnswer.length && byAnswer[seen]!.answeredAtMs <= writtenAtMs; seen++) {
      inside = Math.max(inside, byAnswer[seen]!.number - byAnswer[seen]!.position);
    }
    const before = number - position;
    if (position > 0 && before < inside) {
      faults.push(`user ${user}, number ${number}, is told position ${position} with ${inside} inside`);
    }
    if (before > counts.admitted) {
      faults.push(`user ${user}, number ${number}, is told position ${position} with ${counts.admitted} ever admitted`);
    }
    const known = numberOf.get(user) ?? number;
    if (known !== number) faults.push(`user ${user} has number ${known} and number ${number}`);
    numberOf.set(user, known);
  }
  return examplesOf(faults);
}

function examplesOf(faults: readonly string[]): string[] {
  const more = faults.length - examplesMax;
  return more > 0 ? [...faults.slice(0, examplesMax), `and ${more} more like these`] : [...faults];
}
