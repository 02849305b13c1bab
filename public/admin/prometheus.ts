/** Prometheus text as `/metrics` gives it: its samples, and what happened between two of them. No DOM: tests read it, too. */

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

type Labels = Readonly<Record<string, string>>;

/** Upper bounds with the observations at or below them, rising; the last bound is Infinity. */
export type Buckets = readonly (readonly [bound: number, count: number])[];

const nameOrLabel = /^[a-zA-Z_:][\w:]*$/;
const escapes: Readonly<Record<string, string>> = { '\\n': '\n', '\\\\': '\\', '\\"': '"' };

function numberOf(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return text === '' ? Number.NaN : Number(text);
}

/** Labels from behind `{` on, and where what follows `}` begins; null for what are none. */
function readLabels(line: string, start: number): { labels: Record<string, string>; end: number } | null {
  const labels: Record<string, string> = {};
  const pattern = /\s*(?:(\})|([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?)/y;
  pattern.lastIndex = start;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [, close, label, text] = match;
    if (close !== undefined) return { labels, end: pattern.lastIndex };
    labels[label!] = text!.replace(/\\[n\\"]/g, (pair) => escapes[pair]!);
  }
  return null;
}

/** One line; null for a comment, an empty one, or what is no sample. */
function readSample(line: string): Sample | null {
  if (line === '' || line.startsWith('#')) return null;
  const brace = line.indexOf('{');
  const space = line.search(/\s/);
  const isLabelled = brace > 0 && (space < 0 || brace < space);
  const name = line.slice(0, isLabelled ? brace : Math.max(space, 0));
  const read = isLabelled ? readLabels(line, brace + 1) : { labels: {}, end: space };
  if (read === null || !nameOrLabel.test(name)) return null;
  // A time may stand behind the value.
  const [text = ''] = line.slice(read.end).trim().split(/\s+/);
  const value = numberOf(text);
  return Number.isNaN(value) ? null : { name, labels: read.labels, value };
}

/** All that a process has told at one moment. */
export class Scrape {
  readonly #samples = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const line of text.split(/\r?\n/)) {
      const sample = readSample(line);
      if (sample === null) continue;
      const known = this.#samples.get(sample.name);
      if (known === undefined) this.#samples.set(sample.name, [sample]);
      else known.push(sample);
    }
  }

  /** True for a text without one sample: a proxy's page, not Prometheus. */
  get isEmpty(): boolean {
    return this.#samples.size === 0;
  }

  /** The sum of all with these labels; null where there is none. */
  value(name: string, labels: Labels = {}): number | null {
    const found = this.#of(name, labels);
    return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
  }

  /** Values by one label. */
  by(name: string, label: string): Map<string, number> {
    const values = new Map<string, number>();
    for (const { labels, value } of this.#of(name, {})) {
      const key = labels[label] ?? '';
      values.set(key, (values.get(key) ?? 0) + value);
    }
    return values;
  }

  /** Of a histogram; empty where there is none. */
  buckets(name: string, labels: Labels = {}): Buckets {
    const counts = new Map<number, number>();
    for (const { labels: own, value } of this.#of(`${name}_bucket`, labels)) {
      const bound = numberOf(own['le'] ?? '');
      if (!Number.isNaN(bound)) counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return [...counts].sort(([a], [b]) => a - b);
  }

  #of(name: string, labels: Labels): Sample[] {
    const wanted = Object.entries(labels);
    const all = this.#samples.get(name) ?? [];
    return all.filter((sample) => wanted.every(([label, value]) => sample.labels[label] === value));
  }
}

/** How much a counter grew; null where it is not known, or went back: the process is another one. */
export function increaseOf(before: number | null, after: number | null): number | null {
  return before === null || after === null || after < before ? null : after - before;
}

/**
 * The value below which `share` of what was observed between two scrapes lies, straight within its bucket, as Prometheus
 * takes it; above the highest bound that bound. Null where nothing was observed, or a count went back.
 */
export function quantileBetween(share: number, before: Buckets, after: Buckets): number | null {
  const earlier = new Map(before);
  const grown: [bound: number, count: number][] = [];
  for (const [bound, count] of after) {
    const increase = increaseOf(earlier.get(bound) ?? null, count);
    if (increase === null) return null;
    grown.push([bound, increase]);
  }
  const total = grown.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const rank = share * total;
  let lowBound = 0;
  let lowCount = 0;
  for (const [bound, count] of grown) {
    if (count >= rank) {
      if (bound === Number.POSITIVE_INFINITY) return lowBound;
      return lowBound + ((bound - lowBound) * (rank - lowCount)) / (count - lowCount);
    }
    lowBound = bound;
    lowCount = count;
  }
  return lowBound;
}
