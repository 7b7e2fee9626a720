import type { HistogramValues, StatsSnapshot } from '../stats-snapshot.ts';
import { cumulativeBuckets, quantileOf } from '../stats-snapshot.ts';

/** The quantiles of Envoy's /stats. */
const QUANTILES = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];

export interface StatsQuery {
  readonly accepts: (name: string) => boolean;
  /** Leaves out what was never touched: zero counters, empty histograms, zero gauges. */
  readonly usedOnly: boolean;
  /** `Counters`, `Gauges`, `Histograms` or everything. */
  readonly type: string;
}

/** What of the statistics the query asks for. */
export function selectStats(stats: StatsSnapshot, query: StatsQuery): StatsSnapshot {
  const pick = <V>(kind: string, values: ReadonlyMap<string, V>, isUsed: (value: V) => boolean): Map<string, V> => {
    const wanted = query.type === 'all' || query.type === kind;
    return new Map(
      wanted ? [...values].filter(([name, value]) => query.accepts(name) && (!query.usedOnly || isUsed(value))) : [],
    );
  };
  return {
    counters: pick('counters', stats.counters, (value) => value !== 0),
    gauges: pick('gauges', stats.gauges, (value) => value !== 0),
    histograms: pick('histograms', stats.histograms, (value) => value.count !== 0),
  };
}

/** `name: value` lines: counters and gauges by name, then histograms. */
export function statsText(stats: StatsSnapshot, buckets: boolean): string {
  let text = '';
  for (const [name, value] of numbersOf(stats)) text += `${name}: ${value}\n`;
  for (const [name, values] of sorted(stats.histograms)) {
    text += `${name}: ${buckets ? bucketsText(values) : quantilesText(values)}\n`;
  }
  return text;
}

function quantilesText(values: HistogramValues): string {
  if (values.count === 0) return 'No recorded values';
  // Envoy prints the last interval and the whole; there is no interval here.
  return QUANTILES.map((quantile) => `P${quantile}(nan,${quantileOf(values, quantile / 100)})`).join(' ');
}

function bucketsText(values: HistogramValues): string {
  return cumulativeBuckets(values)
    .filter(([bound]) => Number.isFinite(bound))
    .map(([bound, count]) => `B${bound}(${count},${count})`)
    .join(' ');
}

/** The JSON form of /stats. */
export function statsJson(stats: StatsSnapshot): string {
  const list: object[] = numbersOf(stats).map(([name, value]) => ({ name, value }));
  if (stats.histograms.size > 0) {
    const computed_quantiles = sorted(stats.histograms).map(([name, values]) => ({
      name,
      values: QUANTILES.map((quantile) => ({ cumulative: quantileOf(values, quantile / 100) ?? null, interval: null })),
    }));
    list.push({ histograms: { supported_quantiles: QUANTILES, computed_quantiles } });
  }
  return `${JSON.stringify({ stats: list })}\n`;
}

function numbersOf(stats: StatsSnapshot): [name: string, value: number][] {
  return sorted(new Map([...stats.counters, ...stats.gauges]));
}

function sorted<V>(values: ReadonlyMap<string, V>): [name: string, value: V][] {
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1));
}
