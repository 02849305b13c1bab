/** What the report is made of: a section a bench, in the order of the page. A new bench is one entry here. */
import * as floor from '../floor/main.ts';
import * as growth from '../growth/main.ts';
import type { Exhibits } from '../load/exhibits.ts';
import * as queue from '../queue/main.ts';
import * as rush from '../rush/ladder.ts';
import * as sockets from '../sockets/main.ts';
import * as ways from '../ways/main.ts';
import type { BarsOfTable } from './bars.ts';

export interface Section {
  /** Of the bench, as `npm run bench -- NAME` takes it. */
  readonly name: string;
  readonly title: string;
  /** What the bench does and how to read it, as Markdown: one paragraph. */
  readonly text: string;
  /** More of its command line than --json. */
  readonly args: readonly string[];
  /** The same with --quick: some seconds. */
  readonly quick: readonly string[];
  /** Of the result as JSON. */
  readonly exhibits: (json: string) => Exhibits;
  /** Bar plots of the tables of `exhibits`. */
  readonly bars: readonly BarsOfTable[];
}

export const sections: readonly Section[] = [
  {
    name: 'floor',
    title: 'Floor',
    text: `How near the gateway is to its limits. The floor is a bare uWebSockets.js server that parses the same body and gives an
answer of the same size, with no token, no schema and no store behind it, under the same load; \`refusal\` is the answer to a
seat that is taken, \`held\` is acknowledged from Redis, \`persisted\` (the default) from a durable commit of MySQL. The two
other limits are the stores alone, with the gateway's own script and statements and nobody in front. Rounds are interleaved,
the middle one counts. Processor time is that of one request; the stores and the load share the cores with the gateway. At
half load the connections wait between their requests, and half of the requests a second of the first table are asked for.
\`held\` is a burst: MySQL comes behind it, and one column counts the time until it has the last hold.`,
    args: [],
    quick: ['--seconds', '1', '--rounds', '1', '--connections', '20', '--users', '100', '--seats', '20000'],
    exhibits: (json) => floor.exhibits(JSON.parse(json)),
    bars: [
      {
        name: 'floor',
        title: 'Share of a bare uWebSockets.js server',
        table: 'The gateway against a bare',
        column: 'of floor',
        x: { title: 'requests a second, of the bare server', scale: 'linear' },
        highlighted: ['refusal', 'held', 'persisted'],
      },
    ],
  },
  {
    name: 'ways',
    title: 'Every other way',
    text: `The same request, one seat held, written in each of the ways people use, each as good as that way can be: Fastify with a
schema, the same tokens, a tuned pool, as few round trips as the way allows, a process of its own. The same machine, seats and load, interleaved
rounds, and every seat is asked for twice. After each round the counts of answers are checked against where that way keeps its
truth, and a trial checks every answer by itself. Ways that are not durable when they answer stand against \`held\`, the others
against \`persisted\`. The other ways keep no limit a user, no expiry, no journal and tell nobody; the gateway does.`,
    args: [],
    quick: ['--seconds', '1', '--rounds', '1', '--connections', '20', '--users', '100', '--seats', '20000'],
    exhibits: (json) => ways.exhibits(JSON.parse(json)),
    bars: [
      {
        name: 'ways',
        title: 'Requests for a seat a second: half of them get it, half are refused',
        table: 'Ways to hold a seat',
        column: 'requests/s',
        x: { title: 'requests a second', scale: 'linear' },
        highlighted: ['this gateway, held', 'this gateway, persisted'],
      },
    ],
  },
  {
    name: 'rush',
    title: 'Rush',
    text: `Users who all want places in the same moment, beside the figures that others have published for the same number of
users. Latency counts from the start of the rush, in one column from the writing of the request; the total time from the first
request to the last answer. A rung is exact
when as many places were sold as there were, MySQL has every one of them, nobody has more than the limit, and every request
got one right answer.`,
    args: [],
    quick: ['--users', '20', '--repeat', '1', '--rounds', '1', '--connections', '10'],
    exhibits: (json) => rush.exhibits(JSON.parse(json)),
    bars: [],
  },
  {
    name: 'queue',
    title: 'Queue',
    text: `Tickets of a waiting room, issued and polled over HTTP at a fixed rate by an open loop: a request is due at its moment,
whatever the answers before it do, and its latency counts from there. Every number is checked to be given once and without a
gap, every position to be exact.`,
    args: [],
    quick: ['--rates', '50', '--seconds', '1', '--rounds', '1', '--connections', '20', '--admit', '10'],
    exhibits: (json) => queue.exhibits(JSON.parse(json)),
    bars: [],
  },
  {
    name: 'sockets',
    title: 'Sockets',
    text: `Thousands of WebSockets in one waiting room, told their positions once a second by one gateway process, against a bare
uWebSockets.js loop that sends as many frames of the same size: processor time a tick, memory a socket, and what Redis does for
a tick.`,
    args: [],
    quick: ['--sockets', '50', '--ticks', '2', '--rate', '20'],
    exhibits: (json) => sockets.exhibits(JSON.parse(json)),
    bars: [],
  },
  {
    name: 'growth',
    title: 'Growth',
    text: `How throughput, processor time and memory grow with what is sold, with the settings, and with the people. Every request
is a hold of one seat in the mode \`persisted\`; each point of an axis has a gateway of its own. A round begins and ends with
the first point of its axis, and every ratio is to the mean of these two, of the same round: what the machine does meanwhile
falls on both. Processor time (us) is that of a request, the gateway's memory the most that was resident; Redis grows by so
many bytes a hold, and needs so many KiB for the performances of a point before anything is sold. Along the connections the
seconds in which they are opened do not count in requests a second (they do in the other figures), and requests may wait for ten
seconds.`,
    args: [],
    quick: ['--axes', 'performances', '--points', '2', '--seconds', '1', '--rounds', '1', '--connections', '20'],
    exhibits: (json) => growth.exhibits(JSON.parse(json)),
    bars: [],
  },
];
