/** The few forms of PromQL that the panels are made of: of the instances chosen, over the interval that Grafana picks. */

/** A series of the instances chosen; `labels` as PromQL writes them. */
export function series(name: string, labels = ''): string {
  return `${name}{job="fastpass",instance=~"$instance"${labels === '' ? '' : `,${labels}`}}`;
}

/** A counter a second, summed over all but the labels in `by`. */
export function rate(name: string, by = '', labels = ''): string {
  return `sum${byText(by)}(rate(${series(name, labels)}[$__rate_interval]))`;
}

/** The same for a counter whose series may not be there yet: 0 then. */
export function rateOrZero(name: string, by = '', labels = ''): string {
  return `${rate(name, by, labels)} or vector(0)`;
}

/** A gauge, summed over all but the labels in `by`. */
export function sum(name: string, by = '', labels = ''): string {
  return `sum${byText(by)}(${series(name, labels)})`;
}

/** The largest of a gauge. */
export function max(name: string, by = '', labels = ''): string {
  return `max${byText(by)}(${series(name, labels)})`;
}

/** A quantile of a histogram over all instances. */
export function quantile(share: number, name: string, by = '', labels = ''): string {
  const groups = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${share}, ${rate(`${name}_bucket`, groups, labels)})`;
}

function byText(by: string): string {
  return by === '' ? '' : ` by (${by}) `;
}
