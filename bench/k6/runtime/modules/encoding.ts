/** `k6/encoding`. */

/** A text in base64url without the padding. */
export function b64encode(input: string, encoding: string): string {
  if (encoding !== 'rawurl') throw new Error(`no base64 of the kind ${encoding}`);
  return Buffer.from(input).toString('base64url');
}
