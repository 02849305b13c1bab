/** The waiting room over HTTP: its settings and state, joining, polling, leaving. */
import { Code } from '../domain/codes.ts';
import type { PlaceRequest, RoomState } from '../domain/waiting-room.ts';
import type { Clock } from '../lib/clock.ts';
import type { PlaceOutcome, Places } from '../waiting-room/places.ts';
import type { Rooms } from '../waiting-room/rooms.ts';
import type { QueueTokens, Ticket } from '../waiting-room/tokens.ts';
import { invalid, isRefusal, timeOf } from './body.ts';
import * as answers from './queue-answers.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';
import { type RoomBody, roomBody } from './schemas.ts';

export interface QueueRoutesOptions {
  readonly clock: Clock;
  readonly places: Places;
  readonly rooms: Rooms;
  readonly tokens: QueueTokens;
  readonly requestDeadlineMs: number;
}

const passSecondsDefault = 300;
const noPerformance = problem({ code: Code.performanceNotFound, detail: 'No such performance.' });
const opensAtMissing = problem(invalid('/opensAt', 'is required with drawBeforeOpen'));
const noTicket = problem(invalid('Queue-Ticket', 'is required'));
const badTicket = problem(invalid('Queue-Ticket', 'is not a ticket of this performance'));
const foreignTicket = problem({ code: Code.forbidden, detail: 'The ticket is of another user.' });

function stateView(state: RoomState): answers.RoomView {
  const { mode, issued, admitted, waiting, active, admitPerSecond, maxActive, passSeconds } = state;
  return {
    mode,
    issued,
    admitted,
    waiting,
    active,
    admitPerSecond,
    maxActive,
    passSeconds,
    opensAt: state.opensAtMs === null ? null : new Date(state.opensAtMs).toISOString(),
    drawBeforeOpen: state.drawBeforeOpen,
  };
}

export function queueRoutes(options: QueueRoutesOptions): Route[] {
  const { clock, places, rooms, tokens, requestDeadlineMs } = options;

  async function configure(call: Call): Promise<Answer> {
    const body = call.body as RoomBody;
    const opensAtMs = timeOf('/opensAt', body.opensAt);
    if (isRefusal(opensAtMs)) return problem(opensAtMs);
    const drawBeforeOpen = body.drawBeforeOpen ?? false;
    if (drawBeforeOpen && opensAtMs === null) return opensAtMissing;
    const { mode, admitPerSecond, maxActive, passSeconds = passSecondsDefault } = body;
    const settings = { mode, admitPerSecond, maxActive, passSeconds, opensAtMs, drawBeforeOpen };
    const state = await rooms.configure(call.params[0] as number, settings);
    return state === null ? noPerformance : { status: 200, value: stateView(state) };
  }

  async function read(call: Call): Promise<Answer> {
    const state = await rooms.state(call.params[0] as number);
    if (state === null) return noPerformance;
    return { status: 200, value: stateView(state), headers: [['cache-control', 'no-store']] };
  }

  /** What a place is to its owner: 201 where the ticket is new. */
  function answerOf(outcome: PlaceOutcome, performanceId: number, userId: number): Answer {
    const headers = [['cache-control', 'no-store']] as const;
    switch (outcome.status) {
      case 'refused':
        return problem(outcome.refusal);
      case 'waiting': {
        const { arrival, number, position, etaSeconds, opensAtMs, isNew } = outcome;
        const ticket = tokens.signTicket({ performanceId, userId, arrival });
        // Put together by hand: a token of base64url, and numbers.
        const opens = opensAtMs === null ? '' : `,"opensAt":"${new Date(opensAtMs).toISOString()}"`;
        const json = `{"status":"waiting","ticket":"${ticket}","number":${number},"position":${position},"etaSeconds":${etaSeconds}${opens}}`;
        return { status: isNew ? 201 : 200, json, headers };
      }
      case 'admitted': {
        const { arrival, number } = outcome;
        const ticket = tokens.signTicket({ performanceId, userId, arrival });
        const pass = tokens.signPass({ performanceId, userId, number });
        const passExpiresAt = new Date(outcome.passEndsAtMs).toISOString();
        return { status: 200, value: { status: 'admitted', ticket, number, pass, passExpiresAt }, headers };
      }
      case 'lost':
        // A look at a ticket that Redis has lost is answered by restoring it; what remains has left.
        return { status: 200, value: { status: 'left' }, headers };
      default:
        return { status: 200, value: { status: outcome.status }, headers };
    }
  }

  function submit(call: Call, request: PlaceRequest, onAnswer: (answer: Answer) => void): void {
    const { performanceId, userId } = request;
    call.pending = places.submit(request, clock.nowMs() + requestDeadlineMs, (outcome) => {
      onAnswer(answerOf(outcome, performanceId, userId));
    });
  }

  function ticketOf(call: Call): Ticket | Answer {
    const token = call.headers[0] ?? '';
    if (token === '') return noTicket;
    const ticket = tokens.readTicket(token);
    if (ticket === null || ticket.performanceId !== call.params[0]) return badTicket;
    return ticket.userId === call.identity.userId ? ticket : foreignTicket;
  }

  /** A ticket that is sent along keeps its place where Redis has lost it. */
  function join(call: Call, onAnswer: (answer: Answer) => void): void {
    const { userId } = call.identity;
    const performanceId = call.params[0] as number;
    const fresh = { kind: 'join', performanceId, userId, arrival: 0, number: 0 } as const;
    if ((call.headers[0] ?? '') === '') return submit(call, fresh, onAnswer);
    const ticket = ticketOf(call);
    if ('status' in ticket) return onAnswer(ticket);
    const known = { kind: 'look', performanceId, userId, arrival: ticket.arrival, number: 0 } as const;
    call.pending = places.submit(known, clock.nowMs() + requestDeadlineMs, (outcome) => {
      const isOver = outcome.status === 'left' || outcome.status === 'expired';
      if (isOver) submit(call, fresh, onAnswer);
      else onAnswer(answerOf(outcome, performanceId, userId));
    });
  }

  function look(call: Call, onAnswer: (answer: Answer) => void): void {
    const ticket = ticketOf(call);
    if ('status' in ticket) return onAnswer(ticket);
    submit(call, { kind: 'look', ...ticket, number: 0 }, onAnswer);
  }

  function leave(call: Call, onAnswer: (answer: Answer) => void): void {
    const ticket = ticketOf(call);
    if ('status' in ticket) return onAnswer(ticket);
    submit(call, { kind: 'leave', ...ticket, number: 0 }, (answer) => {
      onAnswer(answer.status === 200 ? { status: 204 } : answer);
    });
  }

  const handleBy =
    (way: (call: Call, onAnswer: (answer: Answer) => void) => void) =>
    (call: Call): Promise<Answer> =>
      new Promise((resolve) => way(call, resolve));

  return [
    {
      method: 'put',
      path: '/v1/performances/{performanceId}/queue',
      operationId: 'configureQueue',
      tag: 'Waiting room',
      summary: 'Set up the waiting room of a performance, or change it while people wait',
      auth: 'admin',
      body: roomBody,
      success: [{ status: 200, description: 'The room as it is now', answer: answers.room }],
      codes: [Code.performanceNotFound],
      handle: configure,
    },
    {
      method: 'get',
      path: '/v1/performances/{performanceId}/queue',
      operationId: 'readQueue',
      tag: 'Waiting room',
      summary: 'The waiting room: its settings, who waits, who is inside',
      auth: 'none',
      success: [{ status: 200, description: 'The room', answer: answers.room }],
      codes: [Code.performanceNotFound],
      handle: read,
    },
    {
      method: 'post',
      path: '/v1/performances/{performanceId}/queue/tickets',
      operationId: 'joinQueue',
      tag: 'Waiting room',
      summary: 'Join the queue; one ticket a user',
      auth: 'user',
      headers: ['queue-ticket'],
      isCreating: true,
      success: [
        { status: 201, description: 'A place', answer: answers.ticketGiven },
        {
          status: 200,
          description: 'The same ticket on a repeat, with a pass once admitted; `open` while the room is off',
          answer: answers.ticketKnown,
        },
      ],
      codes: [Code.performanceNotFound, Code.forbidden, Code.overloaded],
      handle: handleBy(join),
      submit: join,
    },
    {
      method: 'get',
      path: '/v1/performances/{performanceId}/queue/tickets/current',
      operationId: 'readTicket',
      tag: 'Waiting room',
      summary: 'How the ticket stands; polling keeps the place',
      auth: 'user',
      headers: ['queue-ticket'],
      headersRequired: ['queue-ticket'],
      success: [{ status: 200, description: 'The place, the pass, or that it is over', answer: answers.ticketNow }],
      codes: [Code.performanceNotFound, Code.forbidden, Code.overloaded],
      handle: handleBy(look),
      submit: look,
    },
    {
      method: 'delete',
      path: '/v1/performances/{performanceId}/queue/tickets/current',
      operationId: 'leaveQueue',
      tag: 'Waiting room',
      summary: 'Leave the queue, or give the pass back',
      auth: 'user',
      headers: ['queue-ticket'],
      headersRequired: ['queue-ticket'],
      success: [{ status: 204, description: 'Left' }],
      codes: [Code.performanceNotFound, Code.forbidden, Code.overloaded],
      handle: handleBy(leave),
      submit: leave,
    },
  ];
}
