/** One figure of the last minutes as a small plot, with its words: what it is, now, lowest and highest. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { coloursEvent } from '../lib/shell.ts';
import { type Figure, rangeOf, windowSeconds } from './figures.ts';
import { t } from './texts.ts';

const heightPx = 96;
const fontPx = 11;

interface Colours {
  readonly line: string;
  readonly text: string;
  readonly grid: string;
}

/** A canvas knows no names of colours: they are read from an element that has them, for light or dark. */
function coloursOf(host: HTMLElement): Colours {
  const probe = document.createElement('span');
  host.append(probe);
  const resolve = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = { line: resolve('--accent'), text: resolve('--ink-soft'), grid: resolve('--line') };
  probe.remove();
  return colours;
}

function optionsFor(host: HTMLElement, show: (value: number) => string): uPlot.Options {
  const { line, text, grid } = coloursOf(host);
  const font = `${fontPx}px ${getComputedStyle(host).fontFamily}`;
  const axis: uPlot.Axis = { stroke: text, font, ticks: { show: false }, gap: 4 };
  return {
    width: Math.max(120, host.clientWidth),
    height: heightPx,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 4, 8, 0],
    scales: {
      x: { time: false, range: (_, __, end) => [end - windowSeconds, end] },
      // From 0 always: a line that fills its plot says nothing of how much it is.
      y: { range: (_, __, highest) => [0, Math.max(2, (highest ?? 0) * 1.15)] },
    },
    axes: [
      { ...axis, show: false },
      {
        ...axis,
        size: 56,
        space: 28,
        grid: { stroke: grid, width: 1 },
        values: (_, splits) => splits.map(show),
      },
    ],
    series: [{}, { stroke: line, width: 2, points: { show: false }, fill: faint(line) }],
  };
}

/** The colour of a line, for the ground below it. */
function faint(colour: string): string {
  return colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.12)');
}

export interface PlotProps {
  readonly name: string;
  readonly times: readonly number[];
  readonly row: readonly Figure[];
  /** A value in words. */
  readonly show: (value: number) => string;
}

export function Plot({ name, times, row, show }: PlotProps): VNode {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = useRef<uPlot.AlignedData>([[], []]);
  data.current = [[...times], [...row]];

  useEffect(() => {
    const element = host.current!;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element, show), data.current, element);
    };
    draw();
    const resize = new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.current?.setSize({ width: element.clientWidth, height: heightPx });
    });
    resize.observe(element);
    document.addEventListener(coloursEvent, draw);
    return () => {
      document.removeEventListener(coloursEvent, draw);
      resize.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [show]);

  const last = times.at(-1);
  // The rows change in place: a new moment is what makes them new.
  useEffect(() => plot.current?.setData(data.current), [last]);

  const { now, lowest, highest } = rangeOf(row);
  return html`
    <figure class="figure">
      <figcaption>
        <span class="name">${name}</span>
        <span class="now numbers">${
          now === null
            ? html`<span aria-hidden="true">${t.unknown}</span><span class="hidden-visually">${t.unknownSpoken}</span>`
            : show(now)
        }</span>
        <span class="range soft numbers">${
          lowest === null || highest === null ? t.noRange : t.range(show(lowest), show(highest))
        }</span>
      </figcaption>
      <div class="plot" aria-hidden="true" ref=${host}></div>
    </figure>
  ` as VNode;
}
