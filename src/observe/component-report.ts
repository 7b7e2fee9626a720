import { byMeshInsight, byTable2, COMPONENTS, componentOf, partTitle } from './components.ts';
import type { ProbeMode, ThreadTimes } from './probe.ts';

/** How a figure came about. */
export type Basis = 'measured' | 'by calibration' | 'by difference';

/** Parts that the proxy cannot time where they happen; `src/probe/` says how each is found. */
const BASIS: Readonly<Record<string, Basis>> = {
  os_read: 'by calibration',
  sidecar_read: 'by difference',
  event_poll: 'by difference',
  sidecar_write: 'by calibration',
  os_write: 'by calibration',
};

export interface PartReport {
  /** A component's id, or `filter/<name>`. */
  readonly part: string;
  readonly title: string;
  readonly table2: string | null;
  readonly meshInsight: string;
  readonly basis: Basis;
  /** CPU time since the probe began, scaled up to all events. */
  readonly ns: number;
  /** Null without requests, such as in TCP. */
  readonly nsPerRequest: number | null;
}

export interface RouteReport {
  readonly route: string;
  /** Scaled up to all events. */
  readonly requests: number;
  readonly reads: number;
  readonly ns: number;
  readonly parts: readonly PartReport[];
}

/** Where the time of all threads has gone. */
export interface ComponentReport {
  readonly mode: ProbeMode;
  /** One event in so many is timed; 0 is none. */
  readonly every: number;
  readonly events: number;
  readonly timed: number;
  readonly disturbed: number;
  /** CPU time of the threads that serve, as the system counts it; null where it does not. */
  readonly cpuNs: number | null;
  /** What the probe itself has cost, by its calibration. */
  readonly probeNs: number;
  /** What parts were multiplied by to fit the CPU time of their thread; the mean of the threads. */
  readonly rowScale: number;
  /** All threads have timed and forgotten their first events. */
  readonly isWarm: boolean;
  /** What neither a part nor the probe accounts for; negative where the parts come out too large. Null without `cpuNs`. */
  readonly unattributedNs: number | null;
  readonly routes: readonly RouteReport[];
  /** Sums over all routes by the rows of the papers. */
  readonly table2: Readonly<Record<string, number>>;
  readonly meshInsight: Readonly<Record<string, number>>;
}

/** Adds up what the threads saw, each scaled up from the events that it timed to all that it had. */
export function componentReport(threads: readonly ThreadTimes[]): ComponentReport {
  const [first] = threads;
  const routes = mergeRoutes(threads);
  const all: Record<string, number> = {};
  for (const { parts } of routes) for (const { part, ns } of parts) all[part] = (all[part] ?? 0) + ns;
  const known = threads.length > 0 && threads.every(({ threadCpuNs }) => threadCpuNs !== undefined);
  const cpuNs = known ? sum(threads, ({ threadCpuNs }) => threadCpuNs ?? 0) : null;
  const probeNs = sum(threads, (thread) => thread.probeNs);
  const attributed = sum(routes, ({ ns }) => ns);
  return {
    mode: first?.mode ?? 'off',
    every: first?.every ?? 0,
    events: sum(threads, ({ events }) => events),
    timed: sum(threads, ({ timed }) => timed),
    disturbed: sum(threads, ({ disturbed }) => disturbed),
    cpuNs,
    probeNs,
    rowScale: threads.length === 0 ? 1 : sum(threads, ({ rowScale = 1 }) => rowScale) / threads.length,
    isWarm: threads.length > 0 && threads.every(({ isWarm = true }) => isWarm),
    unattributedNs: cpuNs === null ? null : cpuNs - probeNs - attributed,
    routes,
    table2: Object.fromEntries(byTable2(all)),
    meshInsight: Object.fromEntries(byMeshInsight(all)),
  };
}

function mergeRoutes(threads: readonly ThreadTimes[]): RouteReport[] {
  const merged = new Map<string, { requests: number; reads: number; parts: Map<string, number> }>();
  for (const thread of threads) {
    const scale = thread.timed === 0 ? 0 : thread.events / thread.timed;
    for (const { route, requests, reads, parts } of thread.routes) {
      let into = merged.get(route);
      if (into === undefined) {
        into = { requests: 0, reads: 0, parts: new Map() };
        merged.set(route, into);
      }
      into.requests += requests * scale;
      into.reads += reads * scale;
      for (const [part, ns] of Object.entries(parts)) into.parts.set(part, (into.parts.get(part) ?? 0) + ns * scale);
    }
  }
  return [...merged]
    .map(([route, { requests, reads, parts }]) => ({
      route,
      requests: Math.round(requests),
      reads: Math.round(reads),
      ns: Math.round(sum([...parts.values()], (ns) => ns)),
      parts: [...parts].sort(([a], [b]) => placeOf(a) - placeOf(b)).map(([part, ns]) => partReport(part, ns, requests)),
    }))
    .sort((a, b) => b.ns - a.ns);
}

/** Parts are shown in the order in which a message meets them. */
function placeOf(part: string): number {
  const { id } = componentOf(part);
  return COMPONENTS.findIndex((component) => component.id === id);
}

function partReport(part: string, ns: number, requests: number): PartReport {
  const { table2, meshInsight } = componentOf(part);
  return {
    part,
    title: partTitle(part),
    table2: table2 ?? null,
    meshInsight,
    basis: BASIS[part] ?? 'measured',
    ns: Math.round(ns),
    nsPerRequest: requests === 0 ? null : Math.round(ns / requests),
  };
}

function sum<T>(list: readonly T[], value: (item: T) => number): number {
  return list.reduce((total, item) => total + value(item), 0);
}

/** Mean time of a filter per request, as `/filters` has told it from the first version on. */
export interface FilterTime {
  /** The route. */
  readonly chain: string;
  readonly filter: string;
  /** Requests that the mean is of. */
  readonly samples: number;
  readonly meanNs: number;
}

/** The filters' parts alone. */
export function filterTimes({ routes }: ComponentReport): FilterTime[] {
  return routes.flatMap(({ route, requests, parts }) =>
    parts
      .filter(({ part }) => part.startsWith('filter/'))
      .map(({ title, nsPerRequest }) => ({
        chain: route,
        filter: title,
        samples: requests,
        meanNs: nsPerRequest ?? 0,
      })),
  );
}

/** The report in Prometheus' text format: counters by route and part, in seconds. '' when nothing is timed. */
export function componentMetrics(report: ComponentReport): string {
  if (report.mode === 'off') return '';
  const seconds = (ns: number): string => (ns / 1e9).toFixed(9);
  const lines = [
    '# HELP outrigger_component_cpu_seconds_total CPU time by route and component, estimated from the events that are timed',
    '# TYPE outrigger_component_cpu_seconds_total counter',
  ];
  for (const { route, parts } of report.routes) {
    for (const { part, ns, table2, meshInsight, basis } of parts) {
      const { id } = componentOf(part);
      const labels: [string, string][] = [
        ['route', route],
        ['component', id],
        ['filter', id === part ? '' : partTitle(part)],
        ['table2', table2 ?? ''],
        ['meshinsight', meshInsight],
        ['basis', basis],
      ];
      const text = labels.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',');
      lines.push(`outrigger_component_cpu_seconds_total{${text}} ${seconds(ns)}`);
    }
  }
  lines.push('# TYPE outrigger_probe_requests_total counter');
  for (const { route, requests } of report.routes) {
    if (requests > 0) lines.push(`outrigger_probe_requests_total{route="${escapeLabel(route)}"} ${requests}`);
  }
  lines.push(
    '# TYPE outrigger_probe_events_total counter',
    `outrigger_probe_events_total ${report.events}`,
    '# TYPE outrigger_probe_timed_events_total counter',
    `outrigger_probe_timed_events_total ${report.timed}`,
    '# TYPE outrigger_probe_cpu_seconds_total counter',
    `outrigger_probe_cpu_seconds_total ${seconds(report.probeNs)}`,
    '# TYPE outrigger_probe_row_scale gauge',
    `outrigger_probe_row_scale ${report.rowScale.toFixed(4)}`,
  );
  if (report.cpuNs !== null && report.unattributedNs !== null) {
    lines.push(
      '# TYPE outrigger_thread_cpu_seconds_total counter',
      `outrigger_thread_cpu_seconds_total ${seconds(report.cpuNs)}`,
      '# TYPE outrigger_unattributed_cpu_seconds gauge',
      `outrigger_unattributed_cpu_seconds ${seconds(report.unattributedNs)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
