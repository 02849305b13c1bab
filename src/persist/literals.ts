/** Values as the texts of statements; each is checked for its type, so that nothing has to be escaped. */

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `(?, ?), (?, ?)`: the placeholders of `count` rows. */
export function placeholders(row: string, count: number): string {
  return new Array<string>(count).fill(row).join(', ');
}

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** A UUID as the literal of a BINARY(16). Throws RangeError on any other text. */
export function uuidLiteral(id: string): string {
  if (!isUuid(id)) throw new RangeError('not a UUID');
  return `x'${id.slice(0, 8)}${id.slice(9, 13)}${id.slice(14, 18)}${id.slice(19, 23)}${id.slice(24)}'`;
}

/** A whole number as its literal. Throws RangeError on any other value. */
export function integerLiteral(value: number): string {
  if (!Number.isSafeInteger(value)) throw new RangeError('not an integer');
  return String(value);
}

/** Unix milliseconds as DATETIME(3) text in UTC. */
export function toDateTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 23);
}
