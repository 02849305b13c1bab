/**
 * Plots as SVG text, drawn by ECharts without a browser. A picture stands on a light card of its own, legible on light and on dark
 * pages; the same plot gives the same bytes.
 */
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { LabelLayout } from 'echarts/features';
import { SVGRenderer } from 'echarts/renderers';
import { type Axis, type BarPlot, cellText, type LinePlot, type Plot } from '../load/exhibits.ts';

use([BarChart, LineChart, GridComponent, TitleComponent, LabelLayout, SVGRenderer]);

const width = 760;
const lineHeight = 380;
const barThickness = 22;
const barGap = 12;
const barsAround = 106;
/** No quotes in it: it stands in attributes. */
const fontFamily = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif';
const ink = { text: '#1f2933', soft: '#52606d', grid: '#e4e7eb', axis: '#9aa5b1', card: '#ffffff' } as const;
/** Far apart for those who see few colours too, dark enough for text on white. */
const colours = ['#0b5cad', '#c2410c', '#0f766e', '#86198f', '#a16207', '#4b5563', '#be123c', '#3f6212'];
const symbols = ['circle', 'rect', 'triangle', 'diamond'];
const plainBar = '#a9b8c9';
const highlightedBar = '#0b5cad';
/** Values are written beside points where so few stand in the plot that they do not cover each other. */
const labelledPointsMax = 6;
const tickedPointsMax = 8;
/** On the average, of this font. */
const letterWidth = 7.2;

const textStyle = { fontFamily, fontSize: 13, color: ink.text };

function axisOf(axis: Axis, nameGap: number): Record<string, unknown> {
  return {
    type: axis.scale === 'log' ? 'log' : 'value',
    name: axis.title,
    nameLocation: 'middle',
    nameGap,
    nameTextStyle: { ...textStyle, color: ink.soft },
    axisLabel: { ...textStyle, color: ink.soft, formatter: shortText },
    axisLine: { show: true, lineStyle: { color: ink.axis } },
    axisTick: { show: true, lineStyle: { color: ink.axis } },
    splitLine: { lineStyle: { color: ink.grid } },
  };
}

/** 15,000 becomes 15k: axes have little room. */
function shortText(value: number): string {
  if (value >= 1_000_000) return `${Number((value / 1_000_000).toPrecision(3))}M`;
  return value >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : cellText(value);
}

function common(title: string): EChartsCoreOption {
  return {
    animation: false,
    backgroundColor: 'transparent',
    textStyle,
    title: { text: title, left: 20, top: 14, textStyle: { ...textStyle, fontSize: 16, fontWeight: 600 } },
  };
}

/** The ends of a log axis lie at the points: powers of ten would leave half of it empty. */
function endsOf(axis: Axis, values: readonly number[]): Record<string, number> {
  return axis.scale === 'log' ? { min: Math.min(...values), max: Math.max(...values) } : {};
}

/** Few points have their ticks where they are. */
function ticksAt(values: readonly number[]): Record<string, unknown> {
  if (values.length > tickedPointsMax) return {};
  const label = { ...textStyle, color: ink.soft, formatter: shortText, hideOverlap: true };
  const line = { show: true, lineStyle: { color: ink.axis } };
  return { axisTick: { ...line, customValues: values }, axisLabel: { ...label, customValues: values } };
}

/** Letters of the longest name. */
function longestOf(named: readonly { readonly name: string }[]): number {
  return Math.max(...named.map(({ name }) => name.length));
}

function linesOption({ title, x, y, series }: LinePlot): EChartsCoreOption {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([value]) => value)))].sort((a, b) => a - b);
  const count = Math.max(...series.map(({ points }) => points.length));
  const isLabelled = series.length === 1 && count <= labelledPointsMax;
  return {
    ...common(title),
    // The names of the lines stand at their ends.
    grid: {
      left: 76,
      right: series.length > 1 ? Math.min(260, 40 + longestOf(series) * letterWidth) : 40,
      top: 62,
      bottom: 62,
    },
    xAxis: { ...axisOf(x, 34), ...endsOf(x, xs), ...ticksAt(xs), splitLine: { show: false } },
    yAxis: axisOf(y, 52),
    series: series.map(({ name, points }, index) => ({
      type: 'line',
      name,
      silent: true,
      data: points,
      symbol: symbols[index % symbols.length],
      symbolSize: 8,
      lineStyle: { width: 2.5, color: colours[index % colours.length] },
      itemStyle: { color: colours[index % colours.length] },
      label: { show: isLabelled, position: 'top', formatter: valueText, ...textStyle },
      endLabel: {
        show: series.length > 1,
        formatter: '{a}',
        distance: 10,
        ...textStyle,
        color: colours[index % colours.length],
      },
      labelLayout: { moveOverlap: 'shiftY' },
    })),
  };
}

function valueText({ value }: { readonly value: readonly number[] }): string {
  return cellText(value[1] ?? null);
}

function barsOption({ title, x, bars }: BarPlot): EChartsCoreOption {
  return {
    ...common(title),
    grid: { left: Math.min(300, 32 + longestOf(bars) * letterWidth), right: 84, top: 52, bottom: 54 },
    xAxis: { ...axisOf(x, 32), axisLine: { show: false }, axisTick: { show: false } },
    yAxis: {
      type: 'category',
      inverse: true,
      data: bars.map(({ name }) => name),
      axisLabel: { ...textStyle, interval: 0 },
      axisLine: { lineStyle: { color: ink.axis } },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'bar',
        silent: true,
        barWidth: barThickness,
        data: bars.map(({ value, isHighlighted }) => ({
          value,
          itemStyle: { color: isHighlighted ? highlightedBar : plainBar, borderRadius: [0, 4, 4, 0] },
          label: { fontWeight: isHighlighted ? 600 : 400 },
        })),
        label: { show: true, position: 'right', formatter: barText, ...textStyle },
      },
    ],
  };
}

function barText({ value }: { readonly value: number }): string {
  return cellText(value);
}

/** The plot as an SVG file. */
export function plotSvg(plot: Plot): string {
  const isBars = plot.kind === 'bars';
  const height = isBars ? barsAround + plot.bars.length * (barThickness + barGap) : lineHeight;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    chart.setOption(isBars ? barsOption(plot) : linesOption(plot));
    return onCard(chart.renderToSVGString(), plot.title, height);
  } finally {
    chart.dispose();
  }
}

/** What a page would move or light up, under names that count the charts drawn before. */
const forPages = / class="zr\d+-cls-\d+"| ecmeta_\w+="[^"]*"|<style[\s\S]*?<\/style>/g;

/** Puts the card behind the picture, names it for those who hear it, and takes out what a still picture has no use for. */
function onCard(svg: string, title: string, height: number): string {
  const card = `<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="10" fill="${ink.card}" stroke="${ink.grid}"/>`;
  const start = svg.indexOf('>') + 1;
  const still = svg
    .slice(start)
    .replaceAll(forPages, '')
    .replaceAll(/zr\d+-/g, 'zr-')
    .trimStart();
  const name = title.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `${svg.slice(0, start)}\n<title>${name}</title>\n${card}\n${still}\n`;
}
