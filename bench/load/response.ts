/** Reads HTTP/1.1 answers off a socket: status line, content-length, body, and nothing a load generator does not need. */

/** One complete answer. */
export interface Answer {
  readonly status: number;
  /** The body as text; empty when there is none. */
  readonly body: string;
  /** True when the server closes the connection after this answer. */
  readonly isLast: boolean;
}

const headEnd = Buffer.from('\r\n\r\n');
const headBytesMax = 16 * 1024;
/** A seat map of 100,000 seats has about 8 MB. */
const bodyBytesMax = 64 * 1024 * 1024;

interface Head {
  readonly status: number;
  readonly bodyStart: number;
  readonly bytes: number;
  readonly isLast: boolean;
}

/** Takes the chunks of one connection on which one request at a time is under way. */
export class ResponseReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #head: Head | null = null;

  /**
   * Takes a chunk; returns the answer once it is complete, else null. Throws an Error for what is no answer of HTTP/1.1
   * with a content-length, for one that is too long, and for bytes behind it that nobody asked for.
   */
  push(chunk: Buffer): Answer | null {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#head === null) {
      // Nearly every answer is one chunk: nothing is copied then.
      if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
      this.#head = headOf(this.#chunks[0]!);
      if (this.#head === null) return null;
    }
    const { status, bodyStart, bytes, isLast } = this.#head;
    if (this.#bytes < bytes) return null;
    if (this.#bytes > bytes) throw new Error(`${this.#bytes - bytes} bytes behind the end of an answer`);
    const whole = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : this.#chunks[0]!;
    this.#chunks = [];
    this.#bytes = 0;
    this.#head = null;
    return { status, body: whole.toString('utf8', bodyStart), isLast };
  }
}

/** The head of an answer, or null while it is not complete. */
function headOf(buffer: Buffer): Head | null {
  const end = buffer.indexOf(headEnd);
  if (end < 0) {
    if (buffer.length > headBytesMax) throw new Error(`the head of an answer has more than ${headBytesMax} bytes`);
    return null;
  }
  const head = buffer.toString('latin1', 0, end);
  const status = Number(head.slice(9, 12));
  if (!head.startsWith('HTTP/1.') || !Number.isInteger(status)) {
    throw new Error(`not an answer of HTTP/1.1: ${JSON.stringify(head.slice(0, 40))}`);
  }
  const bodyStart = end + headEnd.length;
  return {
    status,
    bodyStart,
    bytes: bodyStart + bodyBytesOf(head, status),
    isLast: /\r\nconnection: *close/i.test(head),
  };
}

function bodyBytesOf(head: string, status: number): number {
  if (status === 204 || status === 304) return 0;
  const match = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (match === null) throw new Error(`an answer ${status} without a content-length`);
  const bytes = Number(match[1]);
  if (bytes > bodyBytesMax) throw new Error(`an answer of ${bytes} bytes; at most ${bodyBytesMax} are read`);
  return bytes;
}
