/** Clients that send too slowly or never read: the others do not notice, and what they cost is bounded. */
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { describe, expect, it, type TestContext } from 'vitest';
import {
  countByStatus,
  createPerformance,
  crowd,
  type GatewayProcess,
  holdSending,
  metricOf,
  newUserId,
  spawnGateway,
  tokenOf,
  until,
} from './harness.ts';
import { recovered } from './reliability.ts';

type OnFinished = TestContext['onTestFinished'];

async function start(onFinished: OnFinished): Promise<GatewayProcess> {
  const gateway = await spawnGateway();
  onFinished(() => gateway.kill());
  return gateway;
}

/** The sockets that a process has open; a client that does not read is not told of its end. */
function socketsOf({ child }: GatewayProcess): number {
  const folder = `/proc/${child.pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(`${folder}/${name}`).startsWith('socket:');
    } catch {
      // Closed between the two looks.
      return false;
    }
  }).length;
}

async function openConnections(onFinished: OnFinished, url: string, count: number): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  const sockets = Array.from({ length: count }, () => connect({ host: hostname, port: Number(port) }));
  onFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map((socket) => {
      socket.on('error', () => socket.destroy());
      return new Promise<void>((resolve) => socket.once('connect', () => resolve()));
    }),
  );
  return sockets;
}

/** A crowd gets what it wants, as if nobody else were there. */
async function expectServed(url: string, performanceId: number, seats: number): Promise<void> {
  const startedAtMs = performance.now();
  const wishes = Array.from({ length: seats }, (_, i) => holdSending(newUserId(), { performanceId, seats: [i + 1] }));
  expect(countByStatus(await crowd(url, wishes, { connections: 50 }))).toEqual({ 201: seats });
  expect(performance.now() - startedAtMs).toBeLessThan(servedWithinMs);
}

const servedWithinMs = 5000;
/** uWebSockets.js gives up a connection on which nothing moves for ten seconds, and looks every four. */
const droppedWithinMs = 25_000;
/** What a crowd may add to the memory of a gateway by itself. */
const bytesOfCrowd = 128 * 1024 * 1024;

describe.concurrent('slow clients', () => {
  it.runIf(process.platform === 'linux')(
    'that never read their answer do not stop the others, cost an answer each, and are dropped',
    { timeout: 120_000 },
    async ({ onTestFinished }) => {
      const gateway = await start(onTestFinished);
      const { url } = gateway;
      // An answer larger than what the kernel takes off the gateway's hands.
      const mapId = await createPerformance(url, { seating: { kind: 'seated', seats: 100_000 } });
      const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 500 } });
      const bytes = (await (await fetch(`${url}/v1/performances/${mapId}/seats`)).text()).length;
      const memoryBefore = await metricOf(url, 'process_resident_memory_bytes');
      const socketsBefore = socketsOf(gateway);
      const clients = await openConnections(onTestFinished, url, 40);
      const beganAtMs = performance.now();
      for (const client of clients) {
        client.pause();
        client.write(`GET /v1/performances/${mapId}/seats HTTP/1.1\r\nHost: test\r\n\r\n`);
      }
      await expectServed(url, performanceId, 500);
      const grown = (await metricOf(url, 'process_resident_memory_bytes')) - memoryBefore;
      expect(grown).toBeLessThan(clients.length * bytes + bytesOfCrowd);
      // The crowd's are closed by then as well, and those that asked for the metrics may stay.
      await until('they are dropped', () => socketsOf(gateway) < socketsBefore + clients.length / 2, droppedWithinMs);
      recovered('Clients that never read: dropped', performance.now() - beganAtMs);
    },
  );

  it('that send a byte a second do not stop the others, and are dropped', { timeout: 120_000 }, async ({
    onTestFinished,
  }) => {
    const { url } = await start(onTestFinished);
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 500 } });
    const clients = await openConnections(onTestFinished, url, 200);
    const beganAtMs = performance.now();
    const text = `POST /v1/reservations HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${tokenOf(newUserId())}\r\n`;
    let sent = 0;
    const dripping = setInterval(() => {
      for (const client of clients) if (!client.destroyed) client.write(text[sent]!);
      sent++;
    }, 1000);
    onTestFinished(() => clearInterval(dripping));
    await expectServed(url, performanceId, 500);
    await until('they are dropped', () => clients.every(({ destroyed }) => destroyed), droppedWithinMs);
    recovered('Clients that send a byte a second: dropped', performance.now() - beganAtMs);
  });
});
