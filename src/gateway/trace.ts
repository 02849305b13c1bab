/** The id by which a failed request is found in the logs: that of the caller's trace (W3C Trace Context), or one of ours. */
import { randomUUID } from 'node:crypto';

/** Version, id, flags. Version 00 ends with its flags; a later one may say more behind them. 00 of everything is no id. */
const traceparentPattern = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})[\da-f]{16}-([\da-f]{2})(?:$|-)/;
const traceparentLength = 55;

export interface Trace {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** What our part of the trace is called, as the header wants it. */
  readonly traceparent: string;
}

/** `given`: the header of the request, empty for none. */
export function traceOf(given: string): Trace {
  const [, version, id, flags] = traceparentPattern.exec(given) ?? [];
  if (id === undefined || (version === '00' && given.length !== traceparentLength)) {
    const own = newHex();
    return { id: own, traceparent: `00-${own}-${newHex().slice(16)}-00` };
  }
  return { id, traceparent: `00-${id}-${newHex().slice(16)}-${flags}` };
}

/** 32 random digits; neither half is 0. */
function newHex(): string {
  return randomUUID().replaceAll('-', '');
}
