/** Rehearsals: a rush of played visitors against a performance of a demo event, for admins. */
import { Code } from '../domain/codes.ts';
import type { Rehearsal } from '../domain/rehearsal.ts';
import type { Rehearsals } from '../rehearsal/rehearsals.ts';
import * as answers from './rehearsal-answers.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';
import { type RehearsalBody, rehearsalBody } from './schemas.ts';

const peopleDefault = 200;

const noPerformance = problem({ code: Code.performanceNotFound, detail: 'No such performance.' });
const noDemo = problem({ code: Code.forbidden, detail: 'Only performances of a demo event can be rehearsed.' });
const stopping = problem({ code: Code.unavailable, detail: 'This gateway is stopping; try again.' });

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

function rehearsalView({ startedAtMs, endedAtMs, ...rest }: Rehearsal): answers.RehearsalView {
  return { ...rest, startedAt: isoOrNull(startedAtMs), endedAt: isoOrNull(endedAtMs) };
}

export function rehearsalRoutes(rehearsals: Rehearsals): Route[] {
  async function start(call: Call): Promise<Answer> {
    const { people = peopleDefault, places = 1 } = call.body as RehearsalBody;
    const outcome = await rehearsals.start(call.params[0] as number, { people, places });
    switch (outcome.kind) {
      case 'not_found':
        return noPerformance;
      case 'no_demo':
        return noDemo;
      case 'stopping':
        return stopping;
      default:
        return { status: outcome.kind === 'started' ? 202 : 200, value: rehearsalView(outcome.rehearsal) };
    }
  }

  async function read(call: Call): Promise<Answer> {
    const rehearsal = await rehearsals.read(call.params[0] as number);
    if (rehearsal === null) return noPerformance;
    return { status: 200, value: rehearsalView(rehearsal), headers: [['cache-control', 'no-store']] };
  }

  return [
    {
      method: 'post',
      path: '/v1/performances/{performanceId}/rehearsals',
      operationId: 'startRehearsal',
      tag: 'Rehearsals',
      summary: 'Start a rush of played visitors against a demo performance',
      auth: 'admin',
      body: rehearsalBody,
      isCreating: true,
      success: [
        { status: 202, description: 'It begins', answer: answers.rehearsalBegun },
        { status: 200, description: 'The one under way', answer: answers.rehearsalUnderWay },
      ],
      codes: [Code.performanceNotFound],
      handle: start,
    },
    {
      method: 'get',
      path: '/v1/performances/{performanceId}/rehearsals/current',
      operationId: 'readRehearsal',
      tag: 'Rehearsals',
      summary: 'How the last rehearsal goes, or went',
      auth: 'admin',
      success: [{ status: 200, description: 'The rehearsal', answer: answers.rehearsal }],
      codes: [Code.performanceNotFound],
      handle: read,
    },
  ];
}
