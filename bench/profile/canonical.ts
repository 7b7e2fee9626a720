import { parse } from 'yaml';
import type { Scenario } from '../scenario.ts';
import { envoyConfig } from '../scenario-config.ts';

/** A configuration in canonical form, as data. */
export type Canonical = Readonly<Record<string, unknown>>;

interface HttpFilter {
  readonly name: string;
}

/** The canonical form of a scenario that has filters to be left out; undefined where it has none, or is made for each run. */
export function scenarioFilters(scenario: Scenario): Canonical | undefined {
  if (scenario.policies !== undefined || scenario.pipes !== undefined || scenario.protocol === 'tcp') return undefined;
  // The ports are replaced by those of the run.
  const config = parse(envoyConfig({ scenario, listenPort: 18_001, backendPort: 18_002, directory: '' })) as Canonical;
  return httpFilters(config).length === 0 ? undefined : config;
}

/** HTTP filters of the first listener, the router left out. */
export function httpFilters(canonical: unknown): HttpFilter[] {
  return filterLists(canonical).flatMap((list) => list.slice(0, -1));
}

export function isHttp(canonical: unknown): boolean {
  return filterLists(canonical).length > 0;
}

/** Whether clients speak TLS to the first listener. */
export function hasTls(canonical: unknown): boolean {
  return chains(canonical).some(({ transport_socket }) => transport_socket !== undefined);
}

/** A copy without those HTTP filters; the router, which comes last, stays. */
export function withoutFilters(canonical: Canonical, isLeftOut: (filter: HttpFilter) => boolean): Canonical {
  const copy = structuredClone(canonical);
  for (const list of filterLists(copy)) {
    const kept = list.filter((filter, index) => index === list.length - 1 || !isLeftOut(filter));
    list.splice(0, list.length, ...kept);
  }
  return copy;
}

/** A copy whose first listener takes clear text. */
export function withoutTls(canonical: Canonical): Canonical {
  const copy = structuredClone(canonical);
  for (const chain of chains(copy)) delete chain.transport_socket;
  return copy;
}

/** A copy that shows clients the benchmark's certificate where it showed one of its own. */
export function withTlsOf(canonical: Canonical, socket: unknown): Canonical {
  const copy = structuredClone(canonical);
  for (const chain of chains(copy)) if (chain.transport_socket !== undefined) chain.transport_socket = socket;
  return copy;
}

interface FilterChain {
  transport_socket?: unknown;
}

function firstListener(canonical: unknown): unknown {
  return (canonical as { static_resources: { listeners?: unknown[] } }).static_resources.listeners?.[0];
}

function chains(canonical: unknown): FilterChain[] {
  return (firstListener(canonical) as { filter_chains?: FilterChain[] } | undefined)?.filter_chains ?? [];
}

function filterLists(canonical: unknown): HttpFilter[][] {
  const lists: HttpFilter[][] = [];
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const [key, child] of Object.entries(value)) {
      if ((key === 'http_filters' || key === 'httpFilters') && Array.isArray(child)) lists.push(child as HttpFilter[]);
      else collect(child);
    }
  };
  collect(firstListener(canonical));
  return lists;
}
