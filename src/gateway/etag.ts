/** Whether what a client has still holds. */

/** `If-None-Match` of RFC 9110: a list of tags, weak ones compared by their value, or `*`. */
export function matchesTag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch === '') return false;
  const tags = ifNoneMatch.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etag.replace(/^W\//, ''));
}
