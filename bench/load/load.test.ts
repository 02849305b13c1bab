import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Connection, headText, requestText, type Target, targetOf } from './connection.ts';
import { fire, openConnections } from './fire.ts';
import { type Answer, ResponseReader } from './response.ts';
import { latencyOf, seededRandom } from './statistics.ts';

describe('ResponseReader', () => {
  const bytes = Buffer.from('HTTP/1.1 409 Conflict\r\nServer: x\r\nContent-Length: 6\r\n\r\nvölli');

  it('reads an answer cut at any place', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      const reader = new ResponseReader();
      expect(reader.push(bytes.subarray(0, cut))).toBeNull();
      expect(reader.push(bytes.subarray(cut))).toEqual({ status: 409, body: 'völli', isLast: false });
    }
  });

  it('reads one answer after the other, also without a body and a byte at a time', () => {
    const reader = new ResponseReader();
    const empty = Buffer.from('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    const answers: (Answer | null)[] = [];
    for (const byte of Buffer.concat([bytes, empty])) answers.push(reader.push(Buffer.of(byte)));
    expect(answers.filter((answer) => answer !== null)).toEqual([
      { status: 409, body: 'völli', isLast: false },
      { status: 204, body: '', isLast: true },
    ]);
  });

  it.each([
    ['SSH-2.0-OpenSSH\r\n\r\n', 'not an answer'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'without a content-length'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab', 'behind the end'],
  ])('refuses %j', (text, message) => {
    expect(() => new ResponseReader().push(Buffer.from(text))).toThrow(message);
  });
});

describe('latencyOf', () => {
  it('takes the nearest rank and leaves the samples alone', () => {
    const samples = Float64Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(latencyOf(samples)).toEqual({ count: 200, p50Ms: 100, p95Ms: 190, p99Ms: 198, maxMs: 200 });
    expect(samples[0]).toBe(200);
    expect(latencyOf(new Float64Array())).toMatchObject({ count: 0, p95Ms: 0 });
  });
});

describe('seededRandom', () => {
  it('gives the same numbers for the same seed, spread over 0 to 1', () => {
    const numbers = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 1000 }, random);
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(numbers(7)).not.toEqual(numbers(8));
    const mean = numbers(7).reduce((sum, number) => sum + number, 0) / 1000;
    expect(mean).toBeGreaterThan(0.45);
    expect(mean).toBeLessThan(0.55);
  });
});

describe('a connection', () => {
  let server: Server;
  let target: Target;

  // Echoes; /close ends the connection after the answer, /cut before it.
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (data: Buffer) => {
        body += data.toString();
      });
      request.once('end', () => {
        if (request.url === '/cut') {
          request.socket.destroy();
          return;
        }
        const text = `${request.method} ${request.headers['x-name'] ?? ''} ${body}`;
        const close = request.url === '/close' ? { connection: 'close' } : {};
        response.writeHead(200, { 'content-length': Buffer.byteLength(text), ...close }).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    target = targetOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  it('carries one request after the other', async () => {
    const connection = await Connection.open(target);
    expect(await connection.request('POST', '/', { 'x-name': 'a' }, 'ö')).toMatchObject({
      status: 200,
      body: 'POST a ö',
    });
    const second = connection.request('GET', '/', {}, '');
    expect(() => connection.send('')).toThrow('one request at a time');
    expect(await second).toMatchObject({ body: 'GET  ' });
    expect((await connection.request('GET', '/close', {}, '')).isLast).toBe(true);
    expect(connection.isOpen).toBe(false);
  });

  it('rejects when the server goes, or was never there', async () => {
    const connection = await Connection.open(target);
    await expect(connection.request('GET', '/cut', {}, '')).rejects.toThrow(/closed|reset/);
    await expect(connection.send('')).rejects.toThrow('closed');
    await expect(Connection.open({ host: '127.0.0.1', port: 1 })).rejects.toThrow('ECONNREFUSED');
  });

  it('fires every request once, over connections that close and break', async () => {
    const paths = ['/', '/close', '/', '/cut'];
    const texts = Array.from({ length: 20 }, (_, index) =>
      requestText(headText('POST', target, paths[index % 4]!, {}), String(index)),
    );
    const answered: string[] = [];
    const lost: number[] = [];
    const connections = await openConnections(target, 3);
    const { totalMs } = await fire({
      target,
      connections,
      total: texts.length,
      textOf: (index) => texts[index]!,
      onAnswer: (_index, answer) => answered.push(answer.body),
      onLost: (index) => lost.push(index),
    });
    expect(lost.sort((a, b) => a - b)).toEqual([3, 7, 11, 15, 19]);
    expect(answered).toHaveLength(15);
    expect(totalMs).toBeGreaterThan(0);
  });
});
