/** How the gateway itself does: whether it is ready, and what its metrics say, as plots. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { count } from '../lib/format.ts';
import { midwaySeconds, usePoll, within } from './ask.ts';
import {
  CourseKeeper,
  type GatewayFigures as Figures,
  gatewayFigures,
  OutcomeKeeper,
  type Reading,
  windowSeconds,
} from './figures.ts';
import { Plot } from './plot.ts';
import { Scrape } from './prometheus.ts';
import { t } from './texts.ts';
import { milliseconds, rate } from './words.ts';

const healthMs = 5000;
const answerMsMax = 3000;

type Health = { readonly kind: 'asking' | 'ready' | 'noAnswer' } | { readonly kind: 'notReady'; readonly what: string };

async function readHealth(signal: AbortSignal): Promise<Health> {
  try {
    const response = await fetch('/readyz', { signal: within(answerMsMax, signal), cache: 'no-store' });
    if (response.ok) return { kind: 'ready' };
    const body = (await response.json()) as { readonly detail?: string };
    return { kind: 'notReady', what: body.detail ?? String(response.status) };
  } catch {
    // Unreachable, too late, or a proxy's page: whichever, nobody can buy.
    return { kind: 'noAnswer' };
  }
}

/** One line, said again only when it becomes another one. */
export function HealthLine(): VNode {
  const [health, setHealth] = useState<Health>({ kind: 'asking' });
  usePoll(healthMs, async (signal) => {
    const now = await readHealth(signal);
    if (!signal.aborted) setHealth(now);
  });
  const [tone, text] = {
    asking: ['', t.healthAsking],
    ready: ['good', t.healthReady],
    notReady: ['bad', health.kind === 'notReady' ? t.healthNotReady(health.what) : ''],
    noAnswer: ['bad', t.healthNoAnswer],
  }[health.kind] as [string, string];
  return html`<p class=${`health ${tone}`} role="status"><span class="dot" aria-hidden="true"></span>${text}</p>` as VNode;
}

const everyMs = 1000;
const everyMsWhileMissing = 5000;
/** A restart takes a moment; what does not answer for longer is kept from here. */
const lossesMax = 3;

async function readMetrics(signal: AbortSignal): Promise<Scrape | 'refused' | 'lost'> {
  try {
    const response = await fetch('/metrics', { signal: within(answerMsMax, signal), cache: 'no-store' });
    if (!response.ok) return response.status >= 500 ? 'lost' : 'refused';
    const scrape = new Scrape(await response.text());
    return scrape.isEmpty ? 'refused' : scrape;
  } catch {
    // No answer: it is counted, and shown when it lasts.
    return 'lost';
  }
}

const names = ['holds', 'refusals', 'depth', 'p99Ms', 'sockets'] as const;

interface Kept {
  readonly course: CourseKeeper<(typeof names)[number]>;
  readonly outcomes: OutcomeKeeper;
  reading: Reading<Scrape> | null;
  losses: number;
}

export function GatewayFigures(): VNode {
  const [kept] = useState<Kept>(() => ({
    course: new CourseKeeper(names),
    outcomes: new OutcomeKeeper(),
    reading: null,
    losses: 0,
  }));
  const [figures, setFigures] = useState<Figures | null>(null);
  const [isMissing, setIsMissing] = useState(false);

  usePoll(isMissing ? everyMsWhileMissing : everyMs, async (signal) => {
    const askedAtMs = performance.now();
    const scrape = await readMetrics(signal);
    if (signal.aborted) return;
    if (!(scrape instanceof Scrape)) {
      kept.losses++;
      if (scrape === 'refused' || kept.losses >= lossesMax) setIsMissing(true);
      return;
    }
    const reading = { atSeconds: midwaySeconds(askedAtMs), value: scrape };
    const now = gatewayFigures(kept.reading, reading);
    kept.reading = reading;
    kept.losses = 0;
    kept.course.add(reading.atSeconds, now);
    kept.outcomes.add(reading.atSeconds, now);
    setIsMissing(false);
    setFigures(now);
  });

  return html`
    <section class="card" aria-labelledby="gateway-title">
      <h2 id="gateway-title">${t.figuresOfGateway}</h2>
      ${
        isMissing
          ? html`<p class="notice warn" role="status">${t.metricsMissing}</p>`
          : html`<${Drawn} kept=${kept} stores=${figures?.stores ?? new Map()} />`
      }
    </section>
  ` as VNode;
}

function Drawn({ kept, stores }: { readonly kept: Kept; readonly stores: ReadonlyMap<string, boolean> }): VNode {
  const { times, rows } = kept.course;
  const minutes = count(windowSeconds / 60);
  const { totals } = kept.outcomes;
  return html`
    <p class="hint">${t.figuresHint(minutes)}</p>
    <div class="figures">
      <${Plot} name=${t.holds} times=${times} row=${rows.holds} show=${rate} />
      <${Plot} name=${t.refusals} times=${times} row=${rows.refusals} show=${rate} />
      <${Plot} name=${t.p99} times=${times} row=${rows.p99Ms} show=${milliseconds} />
      <${Plot} name=${t.depth} times=${times} row=${rows.depth} show=${rate} />
      <${Plot} name=${t.sockets} times=${times} row=${rows.sockets} show=${rate} />
      <div class="figure">
        <table class="totals">
          <caption>${t.totals(minutes)}</caption>
          <thead><tr><th scope="col">${t.outcome}</th><th scope="col" class="numbers">${t.number}</th></tr></thead>
          <tbody>
            ${totals.map(
              ([outcome, total]) => html`<tr key=${outcome}>
                <th scope="row">${outcome === 'held' ? t.held : html`<code>${outcome}</code>`}</th>
                <td class="numbers">${count(total)}</td>
              </tr>`,
            )}
            ${totals.length === 0 && html`<tr><td colspan="2" class="soft">${t.noHolds}</td></tr>`}
          </tbody>
        </table>
      </div>
    </div>
    <ul class="stores" aria-label=${t.stores}>
      ${[...stores].map(
        ([store, isUp]) => html`<li key=${store} class=${`badge ${isUp ? 'good' : 'bad'}`}>
          ${isUp ? t.storeUp(store) : t.storeDown(store)}</li>`,
      )}
    </ul>
  ` as VNode;
}
