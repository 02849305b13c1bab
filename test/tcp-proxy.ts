/** A TCP proxy in front of a store, to take the network away between it and the gateway. */
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Ends every connection and refuses new ones, until `restore`. */
  cut(): void;
  /** The connections there are go silent for good, without an end; new ones too, until `restore`. */
  stall(): void;
  /** New connections work again. */
  restore(): void;
  close(): Promise<void>;
}

export function startTcpProxy(host: string, port: number): Promise<TcpProxy> {
  let state: 'open' | 'cut' | 'stalled' = 'open';
  const pairs = new Set<readonly [Socket, Socket | null]>();

  const server = createServer((client) => {
    client.on('error', () => {});
    if (state === 'cut') {
      client.resetAndDestroy();
      return;
    }
    if (state === 'stalled') {
      const silent = [client, null] as const;
      pairs.add(silent);
      client.on('close', () => pairs.delete(silent));
      return;
    }
    const upstream = connect(port, host);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.pipe(upstream);
    upstream.pipe(client);
    upstream.on('error', () => client.destroy());
    client.on('close', () => {
      upstream.destroy();
      pairs.delete(pair);
    });
  });

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        cut() {
          state = 'cut';
          for (const [client] of pairs) client.resetAndDestroy();
        },
        stall() {
          state = 'stalled';
          for (const [client, upstream] of pairs) {
            if (upstream === null) continue;
            client.unpipe(upstream);
            upstream.unpipe(client);
            for (const socket of [client, upstream]) socket.pause();
          }
        },
        restore() {
          state = 'open';
        },
        close() {
          for (const [client] of pairs) client.destroy();
          return new Promise((closed) => server.close(() => closed()));
        },
      });
    });
  });
}
