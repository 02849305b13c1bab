import { describe, expect, it } from 'vitest';
import { traceOf } from './trace.ts';

const id = '4bf92f3577b34da6a3ce929d0e0e4736';
const parent = '00f067aa0ba902b7';

describe('a trace', () => {
  it.each([
    ['of version 00', `00-${id}-${parent}-01`, '01'],
    ['that is not recorded', `00-${id}-${parent}-00`, '00'],
    ['of a later version', `01-${id}-${parent}-01`, '01'],
    ['of a later version that says more', `cc-${id}-${parent}-01-what-else`, '01'],
  ])('goes on with the id it came with: one %s', (_what, given, flags) => {
    const trace = traceOf(given);
    expect(trace.id).toBe(id);
    expect(trace.traceparent).toMatch(new RegExp(`^00-${id}-[\\da-f]{16}-${flags}$`));
    expect(trace.traceparent).not.toContain(parent);
  });

  it.each([
    ['none', ''],
    ['text', 'none of ours'],
    ['a version that is none', `ff-${id}-${parent}-01`],
    ['version 00 that says more', `00-${id}-${parent}-01-more`],
    ['a later version that goes on without a dash', `01-${id}-${parent}-01more`],
    ['no id', `00-${'0'.repeat(32)}-${parent}-01`],
    ['no parent', `00-${id}-${'0'.repeat(16)}-01`],
    ['large letters', `00-${id.toUpperCase()}-${parent}-01`],
    ['too few digits', `00-${id.slice(1)}-${parent}-01`],
    ['a line more', `00-${id}-${parent}-01\nx`],
    ['a header of 10,000 dashes', '-'.repeat(10_000)],
  ])('has an id of its own where it comes with %s', (_what, given) => {
    const trace = traceOf(given);
    expect(trace.id).toMatch(/^[\da-f]{32}$/);
    expect(trace.id).not.toBe(id);
    expect(trace.traceparent).toMatch(new RegExp(`^00-${trace.id}-[\\da-f]{16}-00$`));
    expect(traceOf(given).id).not.toBe(trace.id);
  });
});
