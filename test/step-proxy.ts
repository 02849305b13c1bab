/**
 * A TCP proxy that stops at a named step: it knows a request by its text, whatever the protocol (Redis, MySQL, HTTP), and
 * then goes silent or cuts the connection before it, in the middle of it, or between it and its reply.
 */
import { connect, createServer, type Socket } from 'node:net';

export type Step =
  /** The request does not arrive; the connection stays open and silent. */
  | 'keep the request'
  /** The request has its effect; the reply does not come back, the connection stays open and silent. */
  | 'keep the reply'
  /** The first half of the bytes arrives, then the connection is cut. */
  | 'cut in the request'
  /** Nothing arrives; the connection is cut. */
  | 'cut before the request'
  /** The request has its effect; the connection is cut in place of the reply. */
  | 'cut before the reply';

export interface StepProxy {
  readonly port: number;
  /**
   * Does it to the next request after which what one connection has sent, from now on, matches. Resolves when it has
   * happened: for a reply, when that was there to be sent back.
   */
  next(sent: RegExp, step: Step): Promise<void>;
  close(): Promise<void>;
}

interface Armed {
  readonly sent: RegExp;
  readonly step: Step;
  readonly onDone: () => void;
}

/** Longer than any request of a test together with the transaction it ends. */
const textLengthMax = 256 * 1024;

export function startStepProxy(host: string, port: number): Promise<StepProxy> {
  const armed = new Set<Armed>();
  /** What each connection has sent since something was last waited for. */
  const texts = new Map<Socket, string>();

  const server = createServer((client) => {
    const upstream = connect(port, host);
    let isSilent = false;
    let awaited: Armed | null = null;
    texts.set(client, '');

    const cut = (): void => {
      isSilent = true;
      client.resetAndDestroy();
    };
    client.on('data', (data) => {
      if (isSilent) return;
      const text = (texts.get(client) + data.toString('latin1')).slice(-textLengthMax);
      texts.set(client, text);
      const found = [...armed].find(({ sent }) => sent.test(text));
      if (found === undefined) {
        upstream.write(data);
        return;
      }
      armed.delete(found);
      if (found.step === 'keep the reply' || found.step === 'cut before the reply') {
        awaited = found;
        upstream.write(data);
        return;
      }
      isSilent = true;
      if (found.step === 'cut in the request') upstream.end(data.subarray(0, Math.ceil(data.length / 2)), cut);
      else if (found.step === 'cut before the request') cut();
      found.onDone();
    });
    upstream.on('data', (data) => {
      if (awaited !== null && !isSilent) {
        isSilent = true;
        if (awaited.step === 'cut before the reply') cut();
        awaited.onDone();
      }
      if (!isSilent) client.write(data);
    });
    client.on('error', () => client.destroy());
    upstream.on('error', () => client.destroy());
    upstream.on('close', () => client.destroy());
    client.on('close', () => {
      texts.delete(client);
      upstream.destroy();
    });
  });

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        next(sent, step) {
          for (const client of texts.keys()) texts.set(client, '');
          return new Promise((onDone) => armed.add({ sent, step, onDone }));
        },
        close() {
          for (const client of texts.keys()) client.destroy();
          return new Promise((closed) => server.close(() => closed()));
        },
      });
    });
  });
}
