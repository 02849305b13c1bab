/** Events and their performances, as the list at the side has them. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import type { Performance, Event as SaleEvent } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';
import { ask } from './ask.ts';

export interface Catalogue {
  /** Null until they are read. */
  readonly events: readonly SaleEvent[] | null;
  /** By event; those that were asked for. */
  readonly performances: ReadonlyMap<number, readonly Performance[]>;
  /** Why something could not be read; empty for nothing. */
  readonly sentence: string;
  readonly readEvents: () => Promise<void>;
  readonly readPerformances: (eventId: number) => Promise<void>;
}

export function useCatalogue(): Catalogue {
  const [events, setEvents] = useState<readonly SaleEvent[] | null>(null);
  const [performances, setPerformances] = useState<ReadonlyMap<number, readonly Performance[]>>(new Map());
  const [sentence, setSentence] = useState('');

  const readEvents = useCallback(async (): Promise<void> => {
    const asked = await ask(client.events());
    setSentence(asked.ok ? '' : asked.sentence);
    if (asked.ok) setEvents(asked.value.items);
  }, []);

  const readPerformances = useCallback(async (eventId: number): Promise<void> => {
    const asked = await ask(client.performances(eventId));
    setSentence(asked.ok ? '' : asked.sentence);
    if (asked.ok) setPerformances((before) => new Map(before).set(eventId, asked.value.items));
  }, []);

  useEffect(() => {
    void readEvents();
  }, [readEvents]);

  return { events, performances, sentence, readEvents, readPerformances };
}
