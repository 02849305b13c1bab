/** Two ways in to gateway processes that share their stores: by a port each, or by connections to workers of one port. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { type CallOptions, call, type GatewayProcess, type Reply, spawnGateway, tokenOf, until } from './harness.ts';
import { openSocket, type TestSocket } from './socket.ts';

/** Always the same process. */
export interface Door {
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  socket(userId: number): Promise<TestSocket>;
}

export interface Doors {
  readonly first: Door;
  readonly second: Door;
  readonly url: string;
  close(): Promise<void>;
}

type Settings = Readonly<Record<string, string>>;

/** A port that nobody listens on: workers share one that is known before. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

/** Two workers on one port; resolved once both listen. `url` is theirs. */
export async function spawnWorkers(settings: Settings = {}): Promise<GatewayProcess> {
  const port = await freePort();
  const primary = await spawnGateway({ ...settings, PORT: String(port), FASTPASS_WORKERS: '2' });
  const listening = new RegExp(`listening.*port"?[=:]${port}`, 'g');
  await until('both workers listen', () => (primary.output().match(listening) ?? []).length === 2, 30_000);
  return { ...primary, url: `http://127.0.0.1:${port}` };
}

export async function openTwoPorts(settings: Settings = {}): Promise<Doors> {
  const gateways = await Promise.all([spawnGateway(settings), spawnGateway(settings)]);
  const [first, second] = gateways.map(
    ({ url }): Door => ({
      call: (method, path, options) => call(url, method, path, options),
      socket: (userId) => openSocket(url, userId),
    }),
  );
  return {
    first: first!,
    second: second!,
    url: gateways[0].url,
    close: async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
    },
  };
}

/**
 * The process that has accepted the connection from `localPort`: the system knows, where the processes themselves answer
 * alike. Throws when there is none.
 */
function processOf(url: string, localPort: number): number {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const [to, from] = [`:${hex(Number(new URL(url).port))}`, `:${hex(localPort)}`];
  const rows = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/net/${name}`, 'utf8').split('\n').slice(1));
  const fields = rows.map((row) => row.trim().split(/\s+/));
  const inode = fields.find(([, local, remote]) => local?.endsWith(to) && remote?.endsWith(from))?.[9];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (filesOf(pid).includes(`socket:[${inode}]`)) return Number(pid);
  }
  throw new Error(`no process has the connection from port ${localPort}`);
}

/** What a process has open; of one that is gone, or somebody else's, nothing. */
function filesOf(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((name) => readlinkSync(`/proc/${pid}/fd/${name}`));
  } catch {
    return [];
  }
}

/** One connection that is kept: whoever has accepted it answers all of it. */
class Lane implements Door {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #localPorts = new Set<number | undefined>();
  #beat: NodeJS.Timeout | undefined;

  constructor(url: string) {
    this.#url = url;
  }

  async call(method: string, path: string, options: CallOptions = {}): Promise<Reply> {
    const { status, headers, text } = await this.#send(method, path, options);
    return { status, headers, body: text === '' ? null : JSON.parse(text) };
  }

  #send(
    method: string,
    path: string,
    { userId, role = 'user', body, headers = {} }: CallOptions,
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly text: string }> {
    const content = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(this.#url + path, {
        method,
        agent: this.#agent,
        headers: {
          ...(userId === undefined ? {} : { authorization: `Bearer ${tokenOf(userId, role)}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          'content-length': Buffer.byteLength(content),
          ...headers,
        },
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        this.#localPorts.add(sent.socket?.localPort);
        // Another connection may be another worker's: what the test says of this one would be nonsense.
        if (this.#localPorts.size > 1) reject(new Error('the connection was not kept'));
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
        });
        response.on('error', reject);
        response.on('end', () => {
          const received = new Headers(response.headers as Record<string, string>);
          resolve({ status: response.statusCode ?? 0, headers: received, text });
        });
      });
      sent.end(content);
    });
  }

  /** Where the other end of this connection is. */
  async process(): Promise<number> {
    await this.call('GET', '/healthz');
    return processOf(this.#url, [...this.#localPorts][0] ?? 0);
  }

  /** A socket at the process of this connection: opened again until it is there. */
  async socket(userId: number): Promise<TestSocket> {
    const mine = await this.process();
    for (let tries = 0; tries < 50; tries++) {
      const socket = await openSocket(this.#url, userId);
      const { localPort } = Reflect.get(socket.raw, '_socket') as { localPort: number };
      if (processOf(this.#url, localPort) === mine) return socket;
      socket.close();
    }
    throw new Error('no socket came to the process of this connection');
  }

  /** Keeps the gateway from closing it for idleness. */
  keep(): void {
    this.#beat = setInterval(() => {
      this.call('GET', '/healthz').catch(() => clearInterval(this.#beat));
    }, 2000);
  }

  close(): void {
    clearInterval(this.#beat);
    this.#agent.destroy();
  }
}

/** A connection to each of two workers; which one accepts is the kernel's choice, so there are tries. */
export async function openTwoWorkers(settings: Settings = {}): Promise<Doors> {
  const primary = await spawnWorkers(settings);
  const { url } = primary;
  const first = new Lane(url);
  for (let tries = 0; tries < 50; tries++) {
    const other = new Lane(url);
    if ((await other.process()) !== (await first.process())) {
      first.keep();
      other.keep();
      return {
        first,
        second: other,
        url,
        close: async () => {
          first.close();
          other.close();
          await primary.stop();
        },
      };
    }
    other.close();
  }
  await primary.stop();
  throw new Error('all connections came to one worker');
}
