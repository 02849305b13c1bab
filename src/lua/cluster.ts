/** Which node of a Redis Cluster has which key. */
import { type Cluster, Command, type Redis } from 'ioredis';
import type { ScriptCall } from './scripts.ts';

/** The calls, by their place in the list, that one node can take in one pipeline; null: no node is known for their slots. */
export interface NodeGroup {
  readonly node: Redis | null;
  readonly indexes: number[];
}

/**
 * Groups calls by the node that has their keys; a script's keys share one hash tag. The pipeline then goes to the node
 * itself: ioredis' own pipeline of a cluster takes calls of one node too, but sends all of it again when all failed alike.
 */
export function groupByNode(cluster: Cluster, calls: readonly ScriptCall[]): NodeGroup[] {
  const nodes = new Map<string, Redis>();
  for (const node of cluster.nodes('master')) nodes.set(`${node.options.host}:${node.options.port}`, node);
  const groups = new Map<Redis | null, NodeGroup>();
  for (let i = 0; i < calls.length; i++) {
    const owner = cluster.slots[new Command('exists', [calls[i]!.keys[0]!]).getSlot()]?.[0];
    const node = (owner === undefined ? undefined : nodes.get(owner)) ?? null;
    const group = groups.get(node);
    if (group === undefined) groups.set(node, { node, indexes: [i] });
    else group.indexes.push(i);
  }
  return [...groups.values()];
}

/** The master at `host:port`, or null where it is not known. */
export function nodeAt(cluster: Cluster, place: string): Redis | null {
  return cluster.nodes('master').find(({ options }) => `${options.host}:${options.port}` === place) ?? null;
}

/** Asks any node who has which slot now; where none answers, the table stays as it is. */
export function refreshSlots(cluster: Cluster): Promise<void> {
  return new Promise((resolve) => {
    cluster.refreshSlotsCache(() => resolve());
  });
}
