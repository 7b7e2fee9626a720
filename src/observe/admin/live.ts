import { componentReport } from '../component-report.ts';
import type { StatsSnapshot } from '../stats-snapshot.ts';
import { cumulativeBuckets } from '../stats-snapshot.ts';
import { listenerAddress } from './cluster-status.ts';
import type { ProxyView } from './view.ts';

/** Newest denials that the page shows. */
const SHOWN_DENIALS = 50;

/** Sums over all connection managers; the page makes rates of two answers. */
interface LiveTotals {
  requests: number;
  active: number;
  connections: number;
  status2xx: number;
  status3xx: number;
  status4xx: number;
  status5xx: number;
  denied: number;
  /** Cumulative counts of downstream_rq_time by upper bound in ms; a bound of null is infinite. */
  latency: [boundMs: number | null, count: number][];
}

const HTTP_STAT = /^http\.(?!admin\.)(.*)\.(downstream_\w+)$/;
const FIELD_OF: Readonly<Record<string, Exclude<keyof LiveTotals, 'latency' | 'denied'>>> = {
  downstream_rq_total: 'requests',
  downstream_rq_active: 'active',
  downstream_cx_active: 'connections',
  downstream_rq_2xx: 'status2xx',
  downstream_rq_3xx: 'status3xx',
  downstream_rq_4xx: 'status4xx',
  downstream_rq_5xx: 'status5xx',
};
/** What filters count when they refuse: RBAC, rate limits, authorization. */
const DENIED =
  /(?:^|\.)(?:rbac\.(?:.*\.)?denied|http_local_rate_limit\.enforced|local_rate_limit\..*\.rate_limited|limited_connections)$/;
const PER_POLICY = /\.policy\./;

/** Everything that the home page shows, in one answer. */
export async function liveStatus(view: ProxyView): Promise<object> {
  const [stats, listeners, clusters, threads, denials, taps] = await Promise.all([
    view.stats(),
    view.listeners(),
    view.clusters(),
    view.threadTimes(),
    view.denials(),
    view.tapConfigIds(),
  ]);
  return {
    timeEpochMs: Date.now(),
    version: view.version,
    state: view.state(),
    startedAtEpochMs: view.startedAtEpochMs,
    node: view.node,
    rssBytes: process.memoryUsage.rss(),
    configHash: view.config().hash,
    configLoadedAtEpochMs: view.config().loadedAtEpochMs,
    totals: totalsOf(stats),
    listeners: listeners.map((listener) => ({ ...listener, address: listenerAddress(listener) })),
    clusters: clusters.map(({ name, type, endpoints }) => ({ name, type, endpoints })),
    components: componentReport(threads),
    denials: denials.slice(0, SHOWN_DENIALS),
    taps,
  };
}

function totalsOf(stats: StatsSnapshot): LiveTotals {
  const totals: LiveTotals = {
    requests: 0,
    active: 0,
    connections: 0,
    status2xx: 0,
    status3xx: 0,
    status4xx: 0,
    status5xx: 0,
    denied: 0,
    latency: [],
  };
  for (const [name, value] of [...stats.counters, ...stats.gauges]) {
    const field = FIELD_OF[HTTP_STAT.exec(name)?.[2] ?? ''];
    if (field !== undefined) totals[field] += value;
    else if (DENIED.test(name) && !PER_POLICY.test(name)) totals.denied += value;
  }
  for (const [name, values] of stats.histograms) {
    if (HTTP_STAT.exec(name)?.[2] !== 'downstream_rq_time') continue;
    for (const [index, [bound, count]] of cumulativeBuckets(values).entries()) {
      const before = totals.latency[index]?.[1] ?? 0;
      totals.latency[index] = [Number.isFinite(bound) ? bound : null, before + count];
    }
  }
  return totals;
}
