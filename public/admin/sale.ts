/** A performance and its room as they are now, asked every second while the page is seen. */
import { useRef, useState } from 'preact/hooks';
import type { Performance, Queue } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';
import { ask, midwaySeconds, usePoll, within } from './ask.ts';
import { admittedRate, type Course, CourseKeeper, type Reading } from './figures.ts';

const everyMs = 1000;
const answerMsMax = 3000;
const names = ['waiting', 'active', 'admitted'] as const;

export interface Sale {
  /** Null until they are read. */
  readonly performance: Performance | null;
  readonly queue: Queue | null;
  readonly course: Course<(typeof names)[number]>;
  /** Why the last question got no answer; empty for none. */
  readonly sentence: string;
  /** What was answered to a change made here. */
  readonly takeQueue: (queue: Queue) => void;
}

/** For one performance: the component that calls it has its number as the key. */
export function useSale(performanceId: number): Sale {
  const [course] = useState(() => new CourseKeeper(names));
  const [performance, setPerformance] = useState<Performance | null>(null);
  const [queue, setQueue] = useState<Queue | null>(null);
  const [sentence, setSentence] = useState('');
  const before = useRef<Reading<Queue> | null>(null);
  const changes = useRef(0);

  usePoll(everyMs, async (signal) => {
    const changesBefore = changes.current;
    const askedAtMs = globalThis.performance.now();
    const options = { signal: within(answerMsMax, signal) };
    const [asked, askedQueue] = await Promise.all([
      ask(client.performance(performanceId, options)),
      ask(client.queue(performanceId, options)),
    ]);
    if (signal.aborted) return;
    if (asked.ok) setPerformance(asked.value);
    if (askedQueue.ok) {
      const now = askedQueue.value;
      const reading = { atSeconds: midwaySeconds(askedAtMs), value: now };
      const { waiting, active } = now;
      course.add(reading.atSeconds, { waiting, active, admitted: admittedRate(before.current, reading) });
      before.current = reading;
      // What was asked before a change made here, and answered after it, may be older.
      if (changes.current === changesBefore) setQueue(now);
    }
    setSentence(asked.ok ? (askedQueue.ok ? '' : askedQueue.sentence) : asked.sentence);
  });

  const takeQueue = (now: Queue): void => {
    changes.current++;
    setQueue(now);
  };
  return { performance, queue, course, sentence, takeQueue };
}
