/** A Redis Cluster of a test's own: three masters with a replica each, on this machine. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, Redis } from 'ioredis';
import { type GuardedProcess, spawnGuarded } from '../src/embedded/guardian.ts';
import { until } from './harness.ts';

const mastersCount = 3;
const slotsCount = 16_384;
/** A master that says nothing for so long is taken for dead by the others. */
const nodeTimeoutMs = 1000;
const password = 'a-password-of-the-tests';

interface Node {
  readonly port: number;
  readonly client: Redis;
  readonly server: GuardedProcess;
  readonly id: string;
  isAlive: boolean;
}

export interface RedisCluster {
  /** One of each master, as REDIS_URL takes them when joined by commas. */
  readonly urls: readonly string[];
  /** A client of the master that has the key now. */
  masterOf(key: string): Promise<Redis>;
  /** Kills that master without a word; resolves when it is gone. */
  killMasterOf(key: string): Promise<void>;
  /** Stops that master where it stands; the function returned lets it go on. */
  freezeMasterOf(key: string): Promise<() => void>;
  /**
   * Moves the slot of the key with all it has to another master. `meanwhile` runs while half of its keys have moved: who
   * asks is told ASK or TRYAGAIN then.
   */
  moveSlotOf(key: string, meanwhile?: () => Promise<unknown>): Promise<void>;
  /** Removes every key there is. */
  flushAll(): Promise<void>;
  close(): Promise<void>;
}

/** The slot of a key. */
function slotOf(key: string): number {
  return new Command('exists', [key]).getSlot();
}

/** A port that is free, and not one that the system gives out for connections. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

async function startNode(folder: string): Promise<Node> {
  const [port, busPort] = [await freePort(), await freePort()];
  const settings: Readonly<Record<string, string | number>> = {
    port,
    bind: '127.0.0.1',
    'cluster-enabled': 'yes',
    'cluster-port': busPort,
    'cluster-config-file': `nodes-${port}.conf`,
    'cluster-node-timeout': nodeTimeoutMs,
    // A replica may take over however long it has not heard of its master: the tests are short.
    'cluster-replica-validity-factor': 0,
    'repl-diskless-sync-delay': 0,
    requirepass: password,
    masterauth: password,
    dir: folder,
    save: '',
  };
  const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = await spawnGuarded(['redis-server', ...words], folder, join(folder, `${port}.log`));
  const client = new Redis({ port, host: '127.0.0.1', password, maxRetriesPerRequest: null });
  client.on('error', () => {
    // Not up yet, or killed by the test.
  });
  const id = String(await client.cluster('MYID'));
  return { port, client, server, id, isAlive: true };
}

export async function startRedisCluster(): Promise<RedisCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'fastpass-cluster-'));
  const nodes = await Promise.all(Array.from({ length: 2 * mastersCount }, () => startNode(folder)));
  const masters = nodes.slice(0, mastersCount);
  for (let i = 0; i < mastersCount; i++) {
    const first = Math.floor((i * slotsCount) / mastersCount);
    const last = Math.floor(((i + 1) * slotsCount) / mastersCount) - 1;
    await masters[i]!.client.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
    await masters[i]!.client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  }
  for (const { client } of nodes) {
    for (const { port } of nodes) {
      const busPort = Number(((await clientOf(nodes, port).config('GET', 'cluster-port')) as string[])[1]);
      await client.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
    }
  }
  const know = async (count: number): Promise<boolean> => {
    const texts = await Promise.all(nodes.map(({ client }) => client.cluster('NODES')));
    return texts.every((text) => String(text).trim().split('\n').length === count && !/handshake/.test(String(text)));
  };
  await until('every node knows the others', () => know(nodes.length), 20_000);
  for (let i = 0; i < mastersCount; i++) {
    await nodes[mastersCount + i]!.client.call('CLUSTER', 'REPLICATE', masters[i]!.id);
  }
  const isWhole = async (): Promise<boolean> => {
    const [infos, roles] = await Promise.all([
      Promise.all(nodes.map(({ client }) => client.cluster('INFO'))),
      Promise.all(nodes.slice(mastersCount).map(({ client }) => client.info('replication'))),
    ]);
    const areOk = infos.every((info) => String(info).includes('cluster_state:ok'));
    return areOk && roles.every((role) => role.includes('master_link_status:up'));
  };
  await until('the cluster is whole', isWhole, 20_000);

  const masterNodeOf = async (key: string): Promise<Node> => {
    const slot = slotOf(key);
    for (const { client, isAlive } of nodes) {
      if (!isAlive) continue;
      const ranges = await client.cluster('SLOTS');
      const owner = ranges.find(([first, last]) => slot >= first && slot <= last);
      const node = nodes.find(({ port }) => port === owner?.[2]?.[1]);
      if (node?.isAlive === true) return node;
    }
    throw new Error(`nobody has the slot of ${key}`);
  };

  return {
    urls: masters.map(({ port }) => `redis://:${password}@127.0.0.1:${port}`),
    masterOf: async (key) => (await masterNodeOf(key)).client,
    async killMasterOf(key) {
      const node = await masterNodeOf(key);
      node.isAlive = false;
      node.client.disconnect();
      process.kill(node.server.pid, 'SIGKILL');
      await node.server.exited;
    },
    async freezeMasterOf(key) {
      const { server } = await masterNodeOf(key);
      process.kill(server.pid, 'SIGSTOP');
      return () => void process.kill(server.pid, 'SIGCONT');
    },
    async moveSlotOf(key, meanwhile) {
      const slot = slotOf(key);
      const from = await masterNodeOf(key);
      const to = masters.find(({ isAlive, id }) => id !== from.id && isAlive)!;
      await to.client.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
      await from.client.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
      const moveKeys = async (keys: readonly string[]): Promise<void> => {
        if (keys.length === 0) return;
        const target = ['127.0.0.1', to.port, '', 0, 5000, 'AUTH', password, 'KEYS'];
        await from.client.call('MIGRATE', ...target, ...keys);
      };
      const keysLeft = async (countMax: number): Promise<string[]> =>
        (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, countMax)) as string[];
      if (meanwhile !== undefined) {
        const keys = await keysLeft(1000);
        await moveKeys(keys.slice(0, Math.ceil(keys.length / 2)));
        await meanwhile();
      }
      for (let keys = await keysLeft(100); keys.length > 0; keys = await keysLeft(100)) await moveKeys(keys);
      for (const { client } of [to, from, ...masters.filter((node) => node !== to && node !== from)]) {
        if (client.status === 'ready') await client.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
      }
    },
    async flushAll() {
      for (const { client, isAlive } of nodes) {
        if (!isAlive) continue;
        await client.flushall().catch(() => {
          // A replica, which its master tells.
        });
      }
    },
    async close() {
      for (const { client, server, isAlive } of nodes) {
        client.disconnect();
        if (isAlive) process.kill(server.pid, 'SIGCONT');
      }
      await Promise.all(nodes.map(({ server }) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function clientOf(nodes: readonly Node[], port: number): Redis {
  return nodes.find((node) => node.port === port)!.client;
}
