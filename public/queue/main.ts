/** The waiting room of a performance: the place in the queue, and the way on when it is one's turn. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { show } from '../lib/shell.ts';
import { performanceIdOfPath } from '../lib/use.ts';
import { Unknown, WaitingRoomPage } from './page.ts';

const performanceId = performanceIdOfPath();
show(
  (performanceId === null
    ? html`<${Unknown} />`
    : html`<${WaitingRoomPage} performanceId=${performanceId} />`) as VNode,
);
