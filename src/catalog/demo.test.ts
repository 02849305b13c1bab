import { expect, it } from 'vitest';
import type { Catalog } from './catalog.ts';
import { createDemo } from './demo.ts';

it('the event of a first start is a demo, and is made where there is no event alone', async () => {
  const created: unknown[][] = [];
  const catalogWith = (events: readonly unknown[]): Catalog =>
    ({
      listEvents: async () => events,
      createEvent: async (...given: unknown[]) => {
        created.push(given);
        return { eventId: 1 };
      },
      createPerformance: async () => null,
    }) as unknown as Catalog;
  expect(await createDemo(catalogWith([{ eventId: 1 }]))).toBe(false);
  expect(created).toEqual([]);
  expect(await createDemo(catalogWith([]))).toBe(true);
  expect(created).toEqual([[expect.stringContaining('Demo'), expect.any(String), true]]);
});
