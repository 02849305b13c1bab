import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { maskedFrame, WebSocketClient } from './web-socket.ts';

const closings: (() => void)[] = [];
afterEach(() => {
  for (const close of closings.splice(0)) close();
});

class Told {
  readonly texts: string[] = [];
  readonly closes: string[] = [];
  onText(index: number, buffer: Buffer, start: number, end: number): void {
    this.texts.push(`${index} ${buffer.toString('utf8', start, end)}`);
  }
  onClose(index: number, reason: string): void {
    this.closes.push(`${index} ${reason}`);
  }
}

function open(port: number, told: Told): Promise<WebSocketClient> {
  const target = { host: '127.0.0.1', port };
  return WebSocketClient.open({ target, path: '/there', headers: { authorization: 'me' }, index: 7, listener: told });
}

/** A server by another hand, and its end of the one socket that is opened. */
async function withServer(told: Told): Promise<{ client: WebSocketClient; peer: WebSocket; url: string }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  closings.push(() => server.close());
  await once(server, 'listening');
  const connected = once(server, 'connection');
  const client = await open((server.address() as AddressInfo).port, told);
  closings.push(() => client.close());
  const [peer, request] = await connected;
  return { client, peer, url: `${request.url} ${request.headers.authorization}` };
}

it('speaks with a server of another make: messages of both lengths, a ping, the close', async () => {
  const told = new Told();
  const { client, peer, url } = await withServer(told);
  expect(url).toBe('/there me');
  for (const text of ['short', 'x'.repeat(125), 'ü'.repeat(63), 'y'.repeat(30_000)]) {
    const heard = once(peer, 'message');
    client.send(text);
    expect(String((await heard)[0])).toBe(text);
    peer.send(text);
  }
  const pong = once(peer, 'pong');
  peer.ping('there?');
  expect(String((await pong)[0])).toBe('there?');
  expect(told.texts.map((text) => text.length)).toEqual([7, 127, 65, 30_002]);
  peer.close(1008, 'enough');
  await expect.poll(() => told.closes).toEqual(['7 closed with 1008 enough']);
});

it('rejects where the upgrade is refused', async () => {
  const server: Server = createServer((socket) => socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n'));
  closings.push(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  await expect(open((server.address() as AddressInfo).port, new Told())).rejects.toThrow('401 Unauthorized');
});

it('reads frames that are cut anywhere', async () => {
  const told = new Told();
  const server = createServer((socket: Socket) => {
    socket.once('data', async () => {
      socket.setNoDelay(true);
      const texts = ['a', 'b'.repeat(200), 'c'].map((text) => {
        // What a server sends is not masked.
        const bytes = Buffer.from(text);
        const head = bytes.length < 126 ? [0x81, bytes.length] : [0x81, 126, bytes.length >> 8, bytes.length & 255];
        return Buffer.concat([Buffer.from(head), bytes]);
      });
      for (const byte of Buffer.concat([Buffer.from('HTTP/1.1 101 Yes\r\n\r\n'), ...texts])) {
        socket.write(Buffer.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
  });
  closings.push(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = await open((server.address() as AddressInfo).port, told);
  closings.push(() => client.close());
  await expect.poll(() => told.texts).toEqual(['7 a', `7 ${'b'.repeat(200)}`, '7 c']);
});

it('does not send what its frames cannot say', () => {
  expect(() => maskedFrame(1, Buffer.alloc(65_536))).toThrow('65536 bytes');
});
