import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { headText, requestText, type Target, targetOf } from './connection.ts';
import { openConnections } from './fire.ts';
import { type Paced, pace } from './pace.ts';

const stallMs = 150;

describe('pace', () => {
  let server: Server;
  let target: Target;

  // /stall answers late, /cut not at all.
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/cut') return void request.socket.destroy();
      const answer = (): void => void response.writeHead(200, { 'content-length': 2 }).end('ok');
      if (request.url === '/stall') setTimeout(answer, stallMs);
      else answer();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    target = targetOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  /** Where requests went, when, and which were lost. */
  async function run(paths: readonly string[], perSecond: number, connectionCount: number) {
    const writtenAtMs: number[] = [];
    const lost: number[] = [];
    const result: Paced = await pace({
      target,
      connections: await openConnections(target, connectionCount),
      perSecond,
      total: paths.length,
      textOf: (index) => requestText(headText('GET', target, paths[index]!, {}), ''),
      onAnswer: (index, _answer, atMs) => {
        writtenAtMs[index] = atMs;
      },
      onLost: (index) => lost.push(index),
    });
    return { result, writtenAtMs, lost };
  }

  it('sends no request before its time, and all of them', async () => {
    const { result, writtenAtMs, lost } = await run(Array(60).fill('/'), 300, 20);
    expect(lost).toEqual([]);
    expect(result.answered).toBe(60);
    // The last one is due 59 intervals after the first.
    expect(writtenAtMs[59]! - writtenAtMs[0]!).toBeGreaterThan((59 / 300) * 1000 - 20);
    expect(result.lateness.meanMs).toBeLessThanOrEqual(result.latency.meanMs);
    expect(result.perSecond).toBeLessThan(400);
  });

  it('goes on sending while answers are late', async () => {
    const { result, writtenAtMs } = await run(Array(30).fill('/stall'), 1000, 30);
    expect(result.starved).toBe(0);
    expect(result.latency.p50Ms).toBeGreaterThanOrEqual(stallMs - 1);
    // Closed loops of one request would have taken 30 stalls.
    expect(writtenAtMs[29]! - writtenAtMs[0]!).toBeLessThan(30 * stallMs);
  });

  it('counts the wait for a free connection as latency, and not as its own lateness', async () => {
    const { result } = await run(['/stall', '/', '/', '/'], 1000, 1);
    expect(result.starved).toBe(3);
    expect(result.lateness.count).toBe(1);
    // The three were due some milliseconds behind the one that stalls.
    expect(result.latency.p50Ms).toBeGreaterThan(stallMs / 2);
  });

  it('counts what gets no answer as lost, and opens the connection anew', async () => {
    const { result, lost } = await run(['/', '/cut', '/', '/'], 500, 1);
    expect(lost).toEqual([1]);
    expect(result.answered).toBe(3);
  });

  it('has nothing to do for no request', async () => {
    const { result } = await run([], 100, 1);
    expect(result).toMatchObject({ answered: 0, perSecond: 0, starved: 0, latency: { count: 0, meanMs: 0 } });
  });
});
