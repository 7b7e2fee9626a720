import type { Call } from './call-graph.ts';

/** Where a service stands: columns from callers to callees, rows within. */
export interface Place {
  readonly layer: number;
  readonly row: number;
}

/** How often rows are sorted by where their neighbours stand. */
const SWEEPS = 6;

/** A layered drawing (Sugiyama): columns by the longest way from a caller, rows by the mean of the neighbours' rows. */
export function layered(services: number, calls: readonly Call[]): Place[] {
  const layers = layersOf(services, calls);
  const columns: number[][] = [];
  for (const [service, layer] of layers.entries()) {
    columns[layer] ??= [];
    columns[layer]!.push(service);
  }
  const neighbours: number[][] = Array.from({ length: services }, () => []);
  for (const { from, to } of calls) {
    neighbours[from]!.push(to);
    neighbours[to]!.push(from);
  }
  const rows = new Float64Array(services);
  const settle = (): void => {
    for (const column of columns)
      for (const [row, service] of (column ?? []).entries()) rows[service] = row - column.length / 2;
  };
  settle();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const wanted = neighbours.map((near, service) =>
      near.length === 0 ? rows[service]! : near.reduce((sum, one) => sum + rows[one]!, 0) / near.length,
    );
    for (const column of columns) column?.sort((a, b) => wanted[a]! - wanted[b]!);
    settle();
  }
  const top = Math.min(...rows);
  return Array.from(rows, (row, service) => ({ layer: layers[service]!, row: row - top }));
}

/** The longest way from a service that nobody calls; calls that close a circle do not count. */
function layersOf(services: number, calls: readonly Call[]): number[] {
  const out: number[][] = Array.from({ length: services }, () => []);
  const indegree = new Int32Array(services);
  for (const { from, to } of calls) {
    out[from]!.push(to);
    indegree[to]!++;
  }
  const layers = new Array<number>(services).fill(0);
  const left = new Set(Array.from({ length: services }, (_, index) => index));
  while (left.size > 0) {
    // In a circle, the one with the fewest callers left begins.
    let next = -1;
    for (const service of left) if (next === -1 || indegree[service]! < indegree[next]!) next = service;
    left.delete(next);
    for (const to of out[next]!) {
      indegree[to]!--;
      if (left.has(to)) layers[to] = Math.max(layers[to]!, layers[next]! + 1);
    }
  }
  return layers;
}
