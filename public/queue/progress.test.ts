import { describe, expect, it } from 'vitest';
import { advance, parseProgress } from './progress.ts';

describe('the progress since joining', () => {
  it('begins at the first place that is seen, and never goes back', () => {
    const first = advance(null, 'ticket', 200);
    expect(first).toEqual({ ticket: 'ticket', first: 200, position: 200 });
    const later = advance(first, 'ticket', 150);
    expect(later).toEqual({ ticket: 'ticket', first: 200, position: 150 });
    expect(advance(later, 'ticket', 160)).toEqual(later);
  });

  it('is read again as it was kept', () => {
    const kept = advance(advance(null, 'ticket', 200), 'ticket', 3);
    expect(parseProgress(JSON.stringify(kept))).toEqual(kept);
  });

  it('belongs to its ticket: another one begins anew', () => {
    expect(advance({ ticket: 'old', first: 20, position: 2 }, 'new', 35)).toMatchObject({ first: 35, position: 35 });
  });

  it.for([
    null,
    '',
    '7',
    '[]',
    '{',
    '{"ticket":"a","first":0,"position":0}',
    '{"ticket":"a","first":2,"position":3}',
    '{"ticket":"a","first":"2","position":1}',
    '{"first":2,"position":1}',
  ])('is nothing where something else was kept: %s', (text) => {
    expect(parseProgress(text)).toBeNull();
  });
});
