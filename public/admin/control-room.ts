/** The control room: events at the side, and beside them what was chosen. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Performance, Event as SaleEvent } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { useCatalogue } from './catalogue.ts';
import { EventForm } from './event-form.ts';
import { EventList } from './event-list.ts';
import { GatewayFigures, HealthLine } from './gateway-figures.ts';
import { PerformanceForm } from './performance-form.ts';
import { PerformancePanel } from './performance-panel.ts';
import { t } from './texts.ts';

type Chosen =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'newEvent' }
  | { readonly kind: 'newPerformance'; readonly event: SaleEvent }
  | { readonly kind: 'performance'; readonly performanceId: number };

const nothing: Chosen = { kind: 'nothing' };

/** A reload, and a link, come back to the same performance: `#performance-7`. */
function chosenInAddress(): Chosen | null {
  const id = Number(/^#performance-([1-9]\d{0,14})$/.exec(location.hash)?.[1]);
  return Number.isSafeInteger(id) ? { kind: 'performance', performanceId: id } : null;
}

function titleOf(chosen: Chosen): string {
  switch (chosen.kind) {
    case 'nothing':
      return '';
    case 'newEvent':
      return t.newEvent;
    case 'newPerformance':
      return t.newPerformanceOf(chosen.event.name);
    case 'performance':
      return t.performance(String(chosen.performanceId));
  }
}

export function ControlRoom(): VNode {
  const catalogue = useCatalogue();
  const [chosen, setChosen] = useState<Chosen>(() => chosenInAddress() ?? nothing);
  const [eventId, setEventId] = useState<number | null>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const isFirst = useRef(true);
  useEffect(() => {
    const onHash = (): void => setChosen((before) => chosenInAddress() ?? before);
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  const title = titleOf(chosen);
  useEffect(() => {
    // What was asked for stands there now: whoever goes by keyboard or ear goes on from its heading.
    if (!isFirst.current) heading.current?.focus();
    isFirst.current = false;
  }, [title]);

  const choose = (performanceId: number): void => {
    location.hash = `performance-${performanceId}`;
    setChosen({ kind: 'performance', performanceId });
  };
  const onEventDone = (event: SaleEvent): void => {
    announce(t.createdEvent(event.name));
    void catalogue.readEvents();
    setEventId(event.eventId);
    setChosen({ kind: 'newPerformance', event });
  };
  const onPerformanceDone = ({ performanceId, eventId: of }: Performance): void => {
    announce(t.createdPerformance(String(performanceId)));
    void catalogue.readPerformances(of);
    setEventId(of);
    choose(performanceId);
  };
  const cancel = (): void => setChosen(chosenInAddress() ?? nothing);

  const isPerformance = chosen.kind === 'performance';
  return html`
    <div class="row between head">
      <h1>${t.title}</h1>
      <${HealthLine} />
    </div>
    <div class="control-room">
      <${EventList} catalogue=${catalogue} chosenEventId=${eventId}
        chosenPerformanceId=${isPerformance ? chosen.performanceId : null} onNewEvent=${() => setChosen({ kind: 'newEvent' })}
        onNewPerformance=${(event: SaleEvent) => setChosen({ kind: 'newPerformance', event })} onChoose=${choose} />
      <div class="pane">
        ${title !== '' && html`<h2 id="pane-title" class="pane-title" ref=${heading} tabindex="-1">${title}</h2>`}
        ${chosen.kind === 'nothing' && html`<p class="card soft">${t.choose}</p>`}
        ${
          chosen.kind === 'newEvent' &&
          html`<div class="card"><${EventForm} onDone=${onEventDone} onCancel=${cancel} /></div>`
        }
        ${
          chosen.kind === 'newPerformance' &&
          html`<div class="card"><${PerformanceForm} key=${chosen.event.eventId} eventId=${chosen.event.eventId}
            onDone=${onPerformanceDone} onCancel=${cancel} /></div>`
        }
        ${
          isPerformance &&
          html`<${PerformancePanel} key=${chosen.performanceId} performanceId=${chosen.performanceId}
            events=${catalogue.events ?? []} onEvent=${setEventId} />`
        }
        <${GatewayFigures} />
      </div>
    </div>
  ` as VNode;
}
