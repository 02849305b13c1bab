/** Panels as rows of a table, and the dashboards that Grafana reads, made of them. */
import {
  BigValueGraphMode,
  BigValueTextMode,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimeseriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** A panel: what it shows, in which unit of Grafana, and one sentence for who has not seen it before. */
export interface Panel {
  readonly kind: 'stat' | 'timeseries';
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  /** PromQL, each with the text of its legend. */
  readonly queries: readonly (readonly [expression: string, legend: string])[];
  readonly thresholds: readonly Threshold[];
}

export interface DashboardTable {
  /** The name of its file, and of its address in Grafana. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[];
}

type Queries = Panel['queries'];

const green: readonly Threshold[] = [{ value: null, color: 'green' }];

/** One number, now. */
export function stat(title: string, unit: string, description: string, queries: Queries, thresholds = green): Panel {
  return { kind: 'stat', title, unit, description, queries, thresholds };
}

/** Lines over time; a threshold is drawn as a line too. */
export function lines(title: string, unit: string, description: string, queries: Queries, thresholds = green): Panel {
  return { kind: 'timeseries', title, unit, description, queries, thresholds };
}

/** Orange and red from these values on; without `red`, red alone from the first. */
export function badAbove(first: number, red?: number): readonly Threshold[] {
  if (red === undefined) return [...green, { value: first, color: 'red' }];
  return [...green, { value: first, color: 'orange' }, { value: red, color: 'red' }];
}

/** Red below this value. */
export function badBelow(value: number): readonly Threshold[] {
  return [
    { value: null, color: 'red' },
    { value, color: 'green' },
  ];
}

const datasource = { type: 'prometheus', uid: '$' + '{datasource}' };
const statsPerLine = 6;
const linesPerLine = 3;
const gridColumns = 24;

/** The last value, with its name: it is asked for now alone. */
function statBuilder(): StatBuilder {
  return new StatBuilder()
    .height(4)
    .span(gridColumns / statsPerLine)
    .graphMode(BigValueGraphMode.None)
    .textMode(BigValueTextMode.ValueAndName)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']));
}

/** Lines from zero on: a small change must not look like a large one. */
function linesBuilder(hasThresholds: boolean): TimeseriesBuilder {
  const style = hasThresholds ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off;
  return new TimeseriesBuilder()
    .height(8)
    .span(gridColumns / linesPerLine)
    .min(0)
    .lineWidth(1)
    .fillOpacity(8)
    .thresholdsStyle(new GraphThresholdsStyleConfigBuilder().mode(style))
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
}

function builderOf({ kind, title, description, unit, queries, thresholds }: Panel, id: number) {
  const builder = kind === 'stat' ? statBuilder() : linesBuilder(thresholds.length > 1);
  builder
    .id(id)
    .title(title)
    .description(description)
    .unit(unit)
    .datasource(datasource)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps([...thresholds]));
  queries.forEach(([expression, legend], index) => {
    const query = new DataqueryBuilder()
      .refId(String.fromCharCode('A'.charCodeAt(0) + index))
      .expr(expression)
      .legendFormat(legend);
    builder.withTarget(kind === 'stat' ? query.instant() : query.range());
  });
  return builder;
}

/** What Grafana reads: the panels in their rows, over the datasource and the instances chosen above them. */
export function dashboardOf({ name, title, description, rows }: DashboardTable): Dashboard {
  const builder = new DashboardBuilder(`fastpass: ${title}`)
    .uid(`fastpass-${name}`)
    .description(description)
    .tags(['fastpass'])
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-30m', to: 'now' })
    .timezone('browser')
    .refresh('10s')
    .link(
      new DashboardLinkBuilder('fastpass')
        .type(DashboardLinkType.Dashboards)
        .tags(['fastpass'])
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(
      new QueryVariableBuilder('instance')
        .label('Instance')
        .datasource(datasource)
        .query('label_values(up{job="fastpass"}, instance)')
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .allValue('.*')
        .current({ text: 'All', value: '$__all' }),
    );
  let id = 0;
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title).id(++id));
    for (const panel of row.panels) builder.withPanel(builderOf(panel, ++id));
  }
  return builder.build();
}
