import { expect, it, vi } from 'vitest';
import { type Asked, fakeNetwork, problemReply, type Reaction } from '../../test/client-fakes.ts';
import { FastpassClient } from '../client/index.ts';
import type { Performance } from '../domain/performance.ts';
import { Figures } from './figures.ts';
import { visit } from './visitor.ts';
import { Wishes } from './wishes.ts';

const performanceId = 7;
const reservationId = '0190a0de-0000-7000-8000-000000000001';
const tickets = `/v1/performances/${performanceId}/queue/tickets`;
const hall = { performanceId, seating: { kind: 'seated', seats: 6, seatsPerRow: 6 } } as Performance;
const map = { status: 200, body: { performanceId, seats: [{ seat: 1, status: 'HELD' }] }, headers: { etag: '"1"' } };
const pass = { status: 'admitted', ticket: 't', number: 1, pass: 'p', passExpiresAt: '2030-01-01T00:00:00Z' };
const admitted = { status: 200, body: pass };
const held = { status: 201, body: { reservationId } };
const leaving = `DELETE ${tickets}/current`;
const cancelling = `DELETE /v1/reservations/${reservationId}`;

/** One visitor of a gateway that answers like this; by `METHOD path`, one after the other, the last one for good. */
function play(answers: Readonly<Record<string, Reaction[]>>) {
  const network = fakeNetwork(({ method, path }: Asked) => {
    const left = answers[`${method} ${path}`];
    if (left === undefined) return { status: 200, body: {} };
    return left.length > 1 ? left.shift()! : left[0]!;
  });
  const client = new FastpassClient({
    baseUrl: 'http://gateway.test',
    fetch: network.fetch,
    retry: { attemptsMax: 1 },
  });
  const [closing, closed] = [new AbortController(), new AbortController()];
  const figures = new Figures(1);
  const wishes = new Wishes(client, hall, 2);
  const gone = visit(client, { performanceId, wishes, figures, closing: closing.signal, closed: closed.signal });
  const asked = (): string[] => network.asked.map(({ method, path }) => `${method} ${path}`);
  return { gone, closing, closed, counted: () => figures.counted(), asked, network };
}

const toHold = {
  [`POST ${tickets}`]: [admitted],
  [`GET /v1/performances/${performanceId}/seats`]: [map],
};

it('who holds cancels it and gives the pass back, at once where everybody is to go', async () => {
  const { gone, closing, asked, counted, network } = play({ ...toHold, 'POST /v1/reservations': [held] });
  await vi.waitFor(() => expect(counted().held).toBe(1));
  expect(asked()).not.toContain(cancelling);
  closing.abort();
  await gone;
  expect(asked().slice(-2)).toEqual([cancelling, leaving]);
  expect(network.asked.find(({ path }) => path === '/v1/reservations')!.headers['queue-pass']).toBe('p');
  expect(counted()).toMatchObject({ waiting: 0, held: 1, failed: 0 });
});

it('who meets taken seats asks for others twice, and is refused once', async () => {
  const taken = { ...problemReply(409, 'seat_taken'), body: { code: 'seat_taken', seats: [1, 2, 3, 4, 5, 6] } };
  const { gone, counted, asked, network } = play({ ...toHold, 'POST /v1/reservations': [taken] });
  await gone;
  const wishes = network.asked.filter(({ path }) => path === '/v1/reservations').map(({ body }) => body);
  expect(wishes).toHaveLength(3);
  // The first one by the map.
  expect(wishes[0]).not.toMatchObject({ seats: [1, 2] });
  expect(counted()).toMatchObject({ waiting: 0, held: 0, refused: { seat_taken: 1 } });
  expect(asked().at(-1)).toBe(leaving);
});

it('who was not told what became of a hold looks for it, and cancels what is there', async () => {
  const mine = { status: 200, body: { items: [{ reservationId }], next: null } };
  const answers = { 'POST /v1/reservations': ['lost' as const], 'GET /v1/reservations?status=HELD': [mine] };
  const { gone, counted, asked } = play({ ...toHold, ...answers });
  await gone;
  expect(asked().slice(-2)).toEqual([cancelling, leaving]);
  expect(counted()).toMatchObject({ waiting: 0, held: 0, failed: 1 });
});

it('whose turn has not come when everybody is to go leaves the queue, and counts as waiting', async () => {
  const place = { status: 'waiting', ticket: 't', number: 9, position: 9, etaSeconds: null };
  const { gone, closing, counted, asked } = play({ [`POST ${tickets}`]: [{ status: 201, body: place }] });
  await vi.waitFor(() => expect(asked()).toHaveLength(1));
  await new Promise((resolve) => setImmediate(resolve));
  closing.abort();
  await gone;
  expect(asked()).toEqual([`POST ${tickets}`, leaving]);
  expect(counted()).toMatchObject({ waiting: 1, held: 0, refused: {}, failed: 0 });
});

it('who is cut off says so: what it had is left to its end', async () => {
  const { gone, closing, closed, counted } = play({
    ...toHold,
    'POST /v1/reservations': [held],
    [cancelling]: ['silent'],
  });
  await vi.waitFor(() => expect(counted().held).toBe(1));
  closing.abort();
  closed.abort(new Error('too late'));
  await expect(gone).rejects.toThrow('too late');
});

it('who finds no gateway has failed, and has nothing to give back', async () => {
  const { gone, counted, asked } = play({ [`POST ${tickets}`]: ['lost'] });
  await gone;
  expect(asked()).toHaveLength(1);
  expect(counted()).toMatchObject({ waiting: 0, failed: 1 });
});
