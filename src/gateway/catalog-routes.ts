/** Events, performances, seat maps. Writes need the role admin, reads need no token. */
import type { Catalog, PerformanceView, SeatMap } from '../catalog/catalog.ts';
import { Code } from '../domain/codes.ts';
import { type Event, type PerformancePlan, type Seating, seatLabel } from '../domain/performance.ts';
import type { Refusal } from '../domain/reservation.ts';
import * as answers from './answers.ts';
import { invalid, isRefusal, timeOf } from './body.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';
import { type EventBody, eventBody, type PerformanceBody, performanceBody, placesMax } from './schemas.ts';

const maxPartySizeDefault = 10;
const holdSecondsDefault = 300;

const noPerformance = problem({ code: Code.performanceNotFound, detail: 'No such performance.' });
const noEvent = problem({ code: Code.eventNotFound, detail: 'No such event.' });

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms);
}

function eventView(event: Event): answers.EventView {
  const { eventId, name, description, isDemo } = event;
  return { eventId, name, description, isDemo, createdAt: iso(event.createdAtMs) };
}

function seatingView(seating: Seating): answers.SeatingView {
  if (seating.kind === 'capacity') return { ...seating };
  const { kind, seats, seatsPerRow } = seating;
  return { kind, seats, rows: Math.ceil(seats / seatsPerRow), seatsPerRow };
}

function performanceView({ performance, remaining }: PerformanceView): answers.PerformanceAnswer {
  const { performanceId, eventId, price, holdSeconds, maxReservationsPerUser } = performance;
  return {
    performanceId,
    eventId,
    startsAt: iso(performance.startsAtMs),
    bookingOpensAt: isoOrNull(performance.bookingOpensAtMs),
    bookingClosesAt: isoOrNull(performance.bookingClosesAtMs),
    price,
    holdSeconds,
    maxReservationsPerUser,
    seating: seatingView(performance.seating),
    remaining,
  };
}

/** The seating of a body that fits its schema, or what is missing in it. */
function seatingOf(body: PerformanceBody['seating']): Seating | Refusal {
  const { kind, seats, rows, seatsPerRow, capacity, maxPartySize } = body;
  if (kind === 'capacity') {
    if (capacity === undefined) return invalid('/seating/capacity', 'is required');
    return { kind, capacity, maxPartySize: maxPartySize ?? maxPartySizeDefault };
  }
  if (seats !== undefined && (rows !== undefined || seatsPerRow !== undefined)) {
    return invalid('/seating/seats', 'send either seats, or rows and seatsPerRow');
  }
  if (seats !== undefined) return { kind, seats, seatsPerRow: seats };
  if (rows === undefined) return invalid('/seating/rows', 'is required, or seats');
  if (seatsPerRow === undefined) return invalid('/seating/seatsPerRow', 'is required');
  if (rows * seatsPerRow > placesMax) return invalid('/seating/rows', `makes more than ${placesMax} seats`);
  return { kind, seats: rows * seatsPerRow, seatsPerRow };
}

function planOf(eventId: number, body: PerformanceBody): PerformancePlan | Refusal {
  const seating = seatingOf(body.seating);
  if (isRefusal(seating)) return seating;
  const startsAtMs = timeOf('/startsAt', body.startsAt);
  const bookingOpensAtMs = timeOf('/bookingOpensAt', body.bookingOpensAt);
  const bookingClosesAtMs = timeOf('/bookingClosesAt', body.bookingClosesAt);
  if (isRefusal(startsAtMs)) return startsAtMs;
  if (isRefusal(bookingOpensAtMs)) return bookingOpensAtMs;
  if (isRefusal(bookingClosesAtMs)) return bookingClosesAtMs;
  if (startsAtMs === null) return invalid('/startsAt', 'is required');
  if (bookingOpensAtMs !== null && bookingClosesAtMs !== null && bookingClosesAtMs <= bookingOpensAtMs) {
    return invalid('/bookingClosesAt', 'must be after bookingOpensAt');
  }
  return {
    eventId,
    startsAtMs,
    bookingOpensAtMs,
    bookingClosesAtMs,
    price: body.price,
    holdSeconds: body.holdSeconds ?? holdSecondsDefault,
    maxReservationsPerUser: body.maxReservationsPerUser ?? 1,
    seating,
  };
}

/** All seats 1..N with their states, as text: 100,000 of them in one string, not as many objects. */
function seatMapJson({ performance, taken }: SeatMap): string {
  const { performanceId, price, seating } = performance;
  const parts: string[] = [];
  if (seating.kind === 'seated') {
    for (let seat = 1; seat <= seating.seats; seat++) {
      const label = seatLabel(seat, seating.seatsPerRow);
      parts.push(`{"seat":${seat},"label":"${label}","price":${price},"status":"${taken.get(seat) ?? 'AVAILABLE'}"}`);
    }
  }
  return `{"performanceId":${performanceId},"seats":[${parts.join(',')}]}`;
}

const seatMapsKeptMax = 16;

/** Seat maps as text, by performance: one is made a state of the seats, not a request (49 ms for 100,000 seats). */
class SeatMaps {
  readonly #texts = new Map<number, { readonly revision: string; readonly json: string }>();

  json(map: SeatMap): string {
    const { performanceId } = map.performance;
    const kept = this.#texts.get(performanceId);
    if (kept !== undefined && kept.revision === map.revision) return kept.json;
    const json = seatMapJson(map);
    this.#texts.delete(performanceId);
    if (this.#texts.size >= seatMapsKeptMax) this.#texts.delete(this.#texts.keys().next().value as number);
    this.#texts.set(performanceId, { revision: map.revision, json });
    return json;
  }
}

export function catalogRoutes(catalog: Catalog): Route[] {
  const seatMaps = new SeatMaps();

  async function createEvent(call: Call): Promise<Answer> {
    const body = call.body as EventBody;
    const event = await catalog.createEvent(body.name, body.description ?? null, body.isDemo ?? false);
    return event === null ? noEvent : { status: 201, value: eventView(event) };
  }

  async function listEvents(): Promise<Answer> {
    return { status: 200, value: { items: (await catalog.listEvents()).map(eventView) } };
  }

  async function createPerformance(call: Call): Promise<Answer> {
    const plan = planOf(call.params[0] as number, call.body as PerformanceBody);
    if (isRefusal(plan)) return problem(plan);
    const view = await catalog.createPerformance(plan);
    if (view === null) return noEvent;
    const headers = [['location', `/v1/performances/${view.performance.performanceId}`]] as const;
    return { status: 201, value: performanceView(view), headers };
  }

  async function listPerformances(call: Call): Promise<Answer> {
    const views = await catalog.listPerformances(call.params[0] as number);
    return views === null ? noEvent : { status: 200, value: { items: views.map(performanceView) } };
  }

  async function readPerformance(call: Call): Promise<Answer> {
    const view = await catalog.readPerformance(call.params[0] as number);
    return view === null ? noPerformance : { status: 200, value: performanceView(view) };
  }

  async function readSeats(call: Call): Promise<Answer> {
    const known = /^(?:W\/)?"(.+)"$/.exec(call.headers[0] ?? '')?.[1] ?? null;
    const map = await catalog.readSeats(call.params[0] as number, known);
    if (map === null) return noPerformance;
    const headers = [
      ['etag', `"${map.revision}"`],
      ['cache-control', 'no-cache'],
      ['vary', 'accept'],
    ] as const;
    if (map.revision === known) return { status: 304, headers };
    return { status: 200, headers, json: seatMaps.json(map) };
  }

  async function warm(call: Call): Promise<Answer> {
    const performanceId = call.params[0] as number;
    const result = await catalog.warm(performanceId);
    const view = result === 'not_found' ? null : await catalog.readPerformance(performanceId);
    if (view === null) return noPerformance;
    const { seating } = view.performance;
    const seats = seating.kind === 'seated' ? seating.seats : seating.capacity;
    return { status: 200, value: { performanceId, seats, warmed: result === 'warmed' } };
  }

  return [
    {
      method: 'post',
      path: '/v1/events',
      operationId: 'createEvent',
      tag: 'Catalogue',
      summary: 'Create an event',
      auth: 'admin',
      body: eventBody,
      isCreating: true,
      success: [{ status: 201, description: 'The event', answer: answers.event }],
      codes: [],
      handle: createEvent,
    },
    {
      method: 'get',
      path: '/v1/events',
      operationId: 'listEvents',
      tag: 'Catalogue',
      summary: 'All events, newest first',
      auth: 'none',
      success: [{ status: 200, description: 'The events', answer: answers.eventList }],
      codes: [],
      handle: listEvents,
    },
    {
      method: 'post',
      path: '/v1/events/{eventId}/performances',
      operationId: 'createPerformance',
      tag: 'Catalogue',
      summary: 'Create a performance with its seats or places',
      auth: 'admin',
      body: performanceBody,
      isCreating: true,
      success: [{ status: 201, description: 'The performance', answer: answers.performance, headers: ['Location'] }],
      codes: [Code.eventNotFound],
      handle: createPerformance,
    },
    {
      method: 'get',
      path: '/v1/events/{eventId}/performances',
      operationId: 'listPerformances',
      tag: 'Catalogue',
      summary: 'The performances of an event, with the places left',
      auth: 'none',
      success: [{ status: 200, description: 'The performances', answer: answers.performanceList }],
      codes: [Code.eventNotFound],
      handle: listPerformances,
    },
    {
      method: 'get',
      path: '/v1/performances/{performanceId}',
      operationId: 'readPerformance',
      tag: 'Catalogue',
      summary: 'One performance, with the places left',
      auth: 'none',
      success: [{ status: 200, description: 'The performance', answer: answers.performance }],
      codes: [Code.performanceNotFound],
      handle: readPerformance,
    },
    {
      method: 'get',
      path: '/v1/performances/{performanceId}/seats',
      operationId: 'readSeats',
      tag: 'Catalogue',
      summary: 'The seat map as it is now',
      auth: 'none',
      headers: ['if-none-match'],
      success: [
        { status: 200, description: 'The seats', answer: answers.seatMap, headers: ['ETag'] },
        { status: 304, description: '`If-None-Match` still holds', headers: ['ETag'] },
      ],
      codes: [Code.performanceNotFound],
      handle: readSeats,
    },
    {
      method: 'post',
      path: '/v1/performances/{performanceId}/warm',
      operationId: 'warmPerformance',
      tag: 'Catalogue',
      summary: 'Load a performance into Redis before its sale',
      auth: 'admin',
      success: [{ status: 200, description: '`warmed` is true when it had been cold', answer: answers.warmed }],
      codes: [Code.performanceNotFound],
      handle: warm,
    },
  ];
}
