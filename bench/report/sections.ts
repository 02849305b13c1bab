/** What the report is made of: a section a bench, in the order of the page. A new bench is one entry here. */
import * as growth from '../growth/main.ts';
import type { Exhibits } from '../load/exhibits.ts';
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
    name: 'growth',
    title: 'Growth',
    text: `How throughput, processor time and memory grow with what is sold, with the settings, and with the people. Every request
is a hold of one seat in the mode \`persisted\`; each point of an axis has a gateway of its own. A round begins and ends with
the first point of its axis, and every ratio is to the mean of these two, of the same round: what the machine does meanwhile
falls on both. Processor time (us) is that of a request, the gateway's memory the most that was resident; Redis grows by so
many bytes a hold, and needs so many KiB for the performances of a point before anything is sold. Along the connections the
seconds in which they are opened do not count, and requests may wait for ten seconds.`,
    args: [],
    quick: ['--axes', 'performances', '--points', '2', '--seconds', '1', '--rounds', '1', '--connections', '20'],
    exhibits: (json) => growth.exhibits(JSON.parse(json)),
    bars: [],
  },
];
