/**
 * How far somebody has come since joining, kept beside the ticket: a reload, another tab and another gateway go on from the
 * same first place, and none of them shows a place behind one that was shown before.
 */

export interface Progress {
  /** It belongs to this ticket alone; '' where the browser keeps none. */
  readonly ticket: string;
  /** The first position that was seen. */
  readonly first: number;
  /** The smallest one, which is what is shown. */
  readonly position: number;
}

export function progressKey(performanceId: number): string {
  return `fastpass.progress.${performanceId}`;
}

/** What was kept; null for nothing, or for what is no progress. */
export function parseProgress(text: string | null): Progress | null {
  try {
    const kept: unknown = JSON.parse(text ?? 'null');
    if (typeof kept !== 'object' || kept === null) return null;
    const { ticket, first, position } = kept as Partial<Progress>;
    const isWhole = typeof ticket === 'string' && isPlace(first) && isPlace(position) && position <= first;
    return isWhole ? { ticket, first, position } : null;
  } catch {
    return null;
  }
}

function isPlace(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

/** The progress once the ticket is known to be at `position`. */
export function advance(kept: Progress | null, ticket: string, position: number): Progress {
  if (kept === null || kept.ticket !== ticket) return { ticket, first: position, position };
  return { ticket, first: kept.first, position: Math.min(kept.position, position) };
}
