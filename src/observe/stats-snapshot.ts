import { BUCKET_BOUNDS, type StatsStore } from './stats.ts';

/** What a histogram held: `counts` per bucket of `BUCKET_BOUNDS` (not cumulative), one more for what lies above. */
export interface HistogramValues {
  readonly counts: readonly number[];
  readonly sum: number;
  readonly count: number;
}

/** The statistics of the whole process at one moment, by full name. Plain data: workers post theirs. */
export interface StatsSnapshot {
  readonly counters: ReadonlyMap<string, number>;
  readonly gauges: ReadonlyMap<string, number>;
  readonly histograms: ReadonlyMap<string, HistogramValues>;
}

/** The values of one thread's store. */
export function snapshotOf(store: StatsStore): StatsSnapshot {
  return {
    counters: new Map([...store.counters.values()].map((counter) => [counter.name, counter.value])),
    gauges: new Map([...store.gauges.values()].map((gauge) => [gauge.name, gauge.value])),
    histograms: new Map(
      [...store.histograms.values()].map(({ name, counts, sum, count }) => [name, { counts: [...counts], sum, count }]),
    ),
  };
}

/** Gauges of what all threads share or know alike: limits over shared memory, members of clusters, the clusters. */
const ALIKE_IN_EVERY_THREAD =
  /\.(circuit_breakers\.|membership_|max_host_weight$|health_check\.|outlier_detection\.|ssl\.certificate\.)|^(cluster_manager|server|sds|overload)\./;

/** Counters of what every thread does, where the process does it once: reading secrets, making contexts of them. */
const DONE_BY_EVERY_THREAD = /^(sds|overload)\.|\.(ssl_context_update_by_sds|ssl\.context_update_(success|rejected))$/;

/**
 * The sum of several threads' values. Gauges add up too, since each thread counts its own connections, unless every
 * thread says the same; so do counters, unless every thread does the same.
 */
export function mergeSnapshots(snapshots: readonly StatsSnapshot[]): StatsSnapshot {
  const [only, ...others] = snapshots;
  if (only !== undefined && others.length === 0) return only;
  const counters = new Map<string, number>();
  const gauges = new Map<string, number>();
  const histograms = new Map<string, HistogramValues>();
  for (const snapshot of snapshots) {
    for (const [name, value] of snapshot.counters) {
      const before = counters.get(name) ?? 0;
      counters.set(name, DONE_BY_EVERY_THREAD.test(name) ? Math.max(before, value) : before + value);
    }
    for (const [name, value] of snapshot.gauges) {
      const before = gauges.get(name) ?? 0;
      gauges.set(name, ALIKE_IN_EVERY_THREAD.test(name) ? Math.max(before, value) : before + value);
    }
    for (const [name, values] of snapshot.histograms) histograms.set(name, addHistograms(histograms.get(name), values));
  }
  return { counters, gauges, histograms };
}

function addHistograms(a: HistogramValues | undefined, b: HistogramValues): HistogramValues {
  if (a === undefined) return b;
  return {
    counts: a.counts.map((count, index) => count + (b.counts[index] ?? 0)),
    sum: a.sum + b.sum,
    count: a.count + b.count,
  };
}

/** Upper bounds with how many values lie at or below each; the last bound is infinite. */
export function cumulativeBuckets({ counts }: HistogramValues): [bound: number, count: number][] {
  let total = 0;
  return counts.map((count, index) => {
    total += count;
    return [BUCKET_BOUNDS[index] ?? Number.POSITIVE_INFINITY, total];
  });
}

/** An estimate of a quantile (0…1), linear within its bucket; undefined without values. */
export function quantileOf(values: HistogramValues, quantile: number): number | undefined {
  if (values.count === 0) return undefined;
  const rank = quantile * values.count;
  let lower = 0;
  let below = 0;
  for (const [bound, count] of cumulativeBuckets(values)) {
    if (count >= rank && count > below) {
      if (bound === Number.POSITIVE_INFINITY) return lower;
      return lower + ((bound - lower) * Math.max(0, rank - below)) / (count - below);
    }
    lower = bound === Number.POSITIVE_INFINITY ? lower : bound;
    below = count;
  }
  return lower;
}
