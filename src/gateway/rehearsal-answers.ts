/** The shape of what rehearsals answer, with examples, for the served OpenAPI document. */
import Type, { type Static } from 'typebox';
import { described } from './answers.ts';

const id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const count = Type.Integer({ minimum: 0 });
const ms = Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
  description: 'of the answers to requests for a hold so far; null before the first one',
});
const time = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);

const shapeOfAll = Type.Object(
  {
    performanceId: id,
    state: Type.Enum(['none', 'running', 'done'], { description: '`none`: there was none in the last ten minutes' }),
    people: count,
    places: Type.Integer({ minimum: 0, description: 'what each of them asks for' }),
    waiting: Type.Integer({ minimum: 0, description: 'still on their way; at the end: whose turn had not come' }),
    held: Type.Integer({ minimum: 0, description: 'who got what they asked for; all of it is given back' }),
    refused: Type.Record(Type.String(), count, { description: 'who did not, by the code of their last answer' }),
    failed: Type.Integer({ minimum: 0, description: 'who got no answer' }),
    p50Ms: ms,
    p95Ms: ms,
    p99Ms: ms,
    startedAt: time,
    endedAt: time,
  },
  { title: 'Rehearsal', description: '`people` is the sum of `waiting`, `held`, all of `refused`, and `failed`' },
);
export type RehearsalView = Static<typeof shapeOfAll>;

const begun: RehearsalView = {
  performanceId: 42,
  state: 'running',
  people: 200,
  places: 2,
  waiting: 200,
  held: 0,
  refused: {},
  failed: 0,
  p50Ms: null,
  p95Ms: null,
  p99Ms: null,
  startedAt: '2030-05-01T09:00:00.000Z',
  endedAt: null,
};
const underWay: RehearsalView = {
  ...begun,
  waiting: 61,
  held: 120,
  refused: { seat_taken: 19 },
  p50Ms: 12.4,
  p95Ms: 21.9,
  p99Ms: 30.2,
};
const done: RehearsalView = {
  ...underWay,
  state: 'done',
  waiting: 0,
  held: 181,
  endedAt: '2030-05-01T09:00:09.500Z',
};

export const rehearsalBegun = described(shapeOfAll, { begun });
export const rehearsalUnderWay = described(shapeOfAll, { underWay });
export const rehearsal = described(shapeOfAll, { underWay, done });
