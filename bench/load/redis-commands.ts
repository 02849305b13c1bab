/** Counts the commands that Redis runs, those that scripts run among them. */
import { Redis } from 'ioredis';
import type { Stoppable } from './stage.ts';

/** Calls by command. */
export type CommandCounts = ReadonlyMap<string, number>;

export class RedisCommands implements Stoppable {
  readonly #clients: readonly Redis[];

  /** Of one server, or of all those named with commas between them. */
  constructor(redisUrl: string) {
    this.#clients = redisUrl.split(',').map((url) => new Redis(url.trim()));
  }

  /** Calls since the servers began, without those of this method. Rejects when one does not answer. */
  async counts(): Promise<CommandCounts> {
    const counts = new Map<string, number>();
    for (const text of await Promise.all(this.#clients.map((client) => client.info('commandstats')))) {
      for (const [, name = '', calls] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
        if (name !== 'info') counts.set(name, (counts.get(name) ?? 0) + Number(calls));
      }
    }
    return counts;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
  }
}

/** The calls between two counts; commands that were not called are left out. */
export function callsBetween(before: CommandCounts, after: CommandCounts): CommandCounts {
  const calls = new Map<string, number>();
  for (const [name, count] of after) {
    const delta = count - (before.get(name) ?? 0);
    if (delta > 0) calls.set(name, delta);
  }
  return calls;
}

/** All of them. */
export function sumOf(counts: CommandCounts): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}
