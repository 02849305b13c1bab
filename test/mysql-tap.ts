/** A proxy in front of MySQL that listens in: what a gateway asks, to the statement, whoever else is asking meanwhile. */
import { connect, createServer, type Socket } from 'node:net';

export interface MysqlTap {
  /** The MYSQL_URL that goes through it. */
  readonly url: string;
  /** How many statements that were sent so far match. */
  count(pattern: RegExp): number;
  /** Keeps back what the server answers, until `release`. */
  keep(): void;
  release(): void;
  close(): Promise<void>;
}

export function startMysqlTap(mysqlUrl: string): Promise<MysqlTap> {
  const target = new URL(mysqlUrl);
  const sent: string[][] = [];
  const upstreams = new Set<Socket>();
  let isKeeping = false;

  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    const texts: string[] = [];
    sent.push(texts);
    upstreams.add(upstream);
    client.on('data', (data) => {
      texts.push(data.toString('latin1'));
      upstream.write(data);
    });
    upstream.on('data', (data) => client.write(data));
    if (isKeeping) upstream.pause();
    for (const [one, another] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => another.destroy());
      one.on('close', () => {
        another.destroy();
        upstreams.delete(upstream);
      });
    }
  });

  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const url = new URL(mysqlUrl);
      url.hostname = '127.0.0.1';
      url.port = String(typeof address === 'object' && address !== null ? address.port : 0);
      resolve({
        url: url.href,
        count(pattern) {
          const all = new RegExp(pattern, 'g');
          // A statement may have come in several pieces; the head of a packet stands between two of them.
          return sent.reduce((sum, texts) => sum + [...texts.join('').matchAll(all)].length, 0);
        },
        keep() {
          isKeeping = true;
          for (const upstream of upstreams) upstream.pause();
        },
        release() {
          isKeeping = false;
          for (const upstream of upstreams) upstream.resume();
        },
        close() {
          for (const upstream of upstreams) upstream.destroy();
          return new Promise((closed) => server.close(() => closed()));
        },
      });
    });
  });
}
