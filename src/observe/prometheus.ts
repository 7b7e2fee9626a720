import { tagStatName } from './stat-tags.ts';
import type { HistogramValues, StatsSnapshot } from './stats-snapshot.ts';
import { cumulativeBuckets } from './stats-snapshot.ts';

/** The media type of the text format. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type Kind = 'counter' | 'gauge' | 'histogram';

/** All series of one metric name, in the order of first appearance. */
interface Family {
  readonly kind: Kind;
  /** Lines by label set, so that two statistics that come out alike do not make the exposition invalid. */
  readonly series: Map<string, string>;
}

/**
 * The Prometheus text exposition, named and tagged as Envoy does: `envoy_cluster_upstream_rq_total{envoy_cluster_name="app"}`.
 * Our own statistics (`outrigger.…`) keep their own prefix. `accepts` filters by the statistic's full name.
 */
export function renderPrometheus(stats: StatsSnapshot, accepts: (name: string) => boolean = () => true): string {
  const families = new Map<string, Family>();
  for (const [name, value] of stats.counters) if (accepts(name)) addNumber(families, 'counter', name, value);
  for (const [name, value] of stats.gauges) if (accepts(name)) addNumber(families, 'gauge', name, value);
  for (const [name, values] of stats.histograms) if (accepts(name)) addHistogram(families, name, values);
  const parts: string[] = [];
  for (const [metric, { kind, series }] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(`# TYPE ${metric} ${kind}\n`, ...series.values());
  }
  return parts.join('');
}

function addNumber(families: Map<string, Family>, kind: Kind, name: string, value: number): void {
  const { metric, labels } = describeSeries(name);
  const series = seriesOf(families, metric, kind);
  if (series !== undefined && !series.has(labels)) series.set(labels, `${metric}{${labels}} ${value}\n`);
}

function addHistogram(families: Map<string, Family>, name: string, values: HistogramValues): void {
  const { metric, labels } = describeSeries(name);
  const series = seriesOf(families, metric, 'histogram');
  if (series === undefined || series.has(labels)) return;
  const comma = labels === '' ? '' : ',';
  let text = '';
  for (const [bound, count] of cumulativeBuckets(values)) {
    const le = bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound);
    text += `${metric}_bucket{${labels}${comma}le="${le}"} ${count}\n`;
  }
  series.set(labels, `${text}${metric}_sum{${labels}} ${values.sum}\n${metric}_count{${labels}} ${values.count}\n`);
}

/** undefined when the name already belongs to a metric of another kind, which the format cannot express. */
function seriesOf(families: Map<string, Family>, metric: string, kind: Kind): Map<string, string> | undefined {
  let family = families.get(metric);
  if (family === undefined) {
    family = { kind, series: new Map() };
    families.set(metric, family);
  }
  return family.kind === kind ? family.series : undefined;
}

function describeSeries(full: string): { metric: string; labels: string } {
  const { name, tags } = tagStatName(full);
  const plain = name.replace(/[^a-zA-Z0-9_]/g, '_');
  return {
    metric: name.startsWith('outrigger.') ? plain : `envoy_${plain}`,
    labels: tags.map(({ label, value }) => `${label}="${escapeLabel(value)}"`).join(','),
  };
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
