/** Times between `datetime-local` fields, which know no zone, and the gateway, which wants one. */

/** `2030-06-01T19:30` of this machine's zone, as ISO 8601 in UTC; null for an empty field. */
export function isoOfLocal(local: string): string | null {
  const ms = Date.parse(local);
  return local === '' || Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** Of the machine's zone, to the minute; empty for none. */
export function localOfIso(iso: string | null): string {
  if (iso === null) return '';
  const time = new Date(iso);
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day}T${two(time.getHours())}:${two(time.getMinutes())}`;
}
