import type { Graph } from './cover.ts';

/**
 * A small cover by local search: greedy by degree, then (NuMVC's idea) vertices are taken out and edges that are left
 * open get heavier until somebody covers them.
 *
 * @param deadlineMs when to stop, by `performance.now()`
 */
export function searchCover(graph: Graph, deadlineMs: number, random: () => number): Set<number> {
  const vertices = [...graph.keys()];
  let best = greedyCover(graph);
  if (vertices.length < 3) return best;
  const search = new CoverSearch(graph, best);
  for (let steps = 0; steps % 64 !== 0 || performance.now() < deadlineMs; steps++) {
    if (search.isCover) {
      best = search.snapshot();
      if (best.size === 0) break;
      search.dropCheapest();
      continue;
    }
    search.step(random);
    if (steps > 200 * vertices.length + 20_000) break;
  }
  return best;
}

/** Takes the vertex with most open edges until none is open, then gives back what is not needed. */
function greedyCover(graph: Graph): Set<number> {
  const left = new Map(Array.from(graph, ([vertex, neighbours]) => [vertex, new Set(neighbours)]));
  const cover = new Set<number>();
  // Leaving out the vertex with the fewest neighbours, and taking those, does better than taking the largest.
  const buckets: Set<number>[] = [];
  const put = (vertex: number): void => {
    const degree = left.get(vertex)!.size;
    buckets[degree] ??= new Set();
    buckets[degree]!.add(vertex);
  };
  for (const vertex of left.keys()) put(vertex);
  while (left.size > 0) {
    const bucket = buckets.find((one) => one !== undefined && one.size > 0)!;
    const [vertex] = bucket;
    const neighbours = [...left.get(vertex!)!];
    bucket.delete(vertex!);
    left.delete(vertex!);
    for (const neighbour of neighbours) {
      cover.add(neighbour);
      const others = left.get(neighbour)!;
      buckets[others.size]?.delete(neighbour);
      left.delete(neighbour);
      for (const other of others) {
        const open = left.get(other);
        if (open === undefined) continue;
        buckets[open.size]?.delete(other);
        open.delete(neighbour);
        put(other);
      }
    }
  }
  return cover;
}

/** The state of the local search: a set of vertices that misses some edges, weights of edges, gains of vertices. */
class CoverSearch {
  private readonly vertices: readonly number[];
  private readonly adjacency: readonly (readonly [neighbour: number, edge: number][])[];
  private readonly ends: readonly [number, number][];
  private readonly weights: Float64Array;
  /** For a vertex inside: weight of what opens without it; outside: of what it would cover. */
  private readonly gains: Float64Array;
  private readonly isIn: Uint8Array;
  private readonly changedAt: Float64Array;
  private readonly open: number[] = [];
  private readonly openAt: Int32Array;
  private inside: number[] = [];
  private clock = 0;

  constructor(graph: Graph, start: ReadonlySet<number>) {
    this.vertices = [...graph.keys()];
    const position = new Map(this.vertices.map((vertex, index) => [vertex, index]));
    const ends: [number, number][] = [];
    const adjacency: [number, number][][] = this.vertices.map(() => []);
    for (const [index, vertex] of this.vertices.entries()) {
      for (const neighbour of graph.get(vertex)!) {
        const other = position.get(neighbour)!;
        if (other < index) continue;
        adjacency[index]!.push([other, ends.length]);
        adjacency[other]!.push([index, ends.length]);
        ends.push([index, other]);
      }
    }
    this.ends = ends;
    this.adjacency = adjacency;
    this.weights = new Float64Array(ends.length).fill(1);
    this.gains = new Float64Array(this.vertices.length);
    this.isIn = new Uint8Array(this.vertices.length);
    this.changedAt = new Float64Array(this.vertices.length);
    this.openAt = new Int32Array(ends.length).fill(-1);
    for (const index of this.vertices.keys()) this.gains[index] = adjacency[index]!.length;
    for (let edge = 0; edge < ends.length; edge++) this.setOpen(edge);
    for (const vertex of start) this.flip(position.get(vertex)!);
    this.inside = [...this.vertices.keys()].filter((index) => this.isIn[index] === 1);
  }

  get isCover(): boolean {
    return this.open.length === 0;
  }

  snapshot(): Set<number> {
    return new Set(this.inside.map((index) => this.vertices[index]!));
  }

  dropCheapest(): void {
    this.leave(this.cheapest());
  }

  /** One exchange: the vertex that is missed least leaves, one that covers an open edge comes, and open edges get heavier. */
  step(random: () => number): void {
    this.leave(this.cheapest(random));
    const edge = this.open[Math.floor(random() * this.open.length)]!;
    const [a, b] = this.ends[edge]!;
    const isFirst =
      this.gains[a]! > this.gains[b]! || (this.gains[a] === this.gains[b] && this.changedAt[a]! < this.changedAt[b]!);
    const chosen = isFirst ? a : b;
    this.flip(chosen);
    this.inside.push(chosen);
    for (const left of this.open) {
      this.weights[left]!++;
      for (const end of this.ends[left]!) this.gains[end]!++;
    }
  }

  /** Of all for small graphs, of fifty by chance for large ones (best from multiple selection, FastVC). */
  private cheapest(random?: () => number): number {
    const count = this.inside.length;
    const tries = random === undefined || count <= 50 ? count : 50;
    let best = -1;
    for (let one = 0; one < tries; one++) {
      const position = tries === count ? one : Math.floor(random!() * count);
      if (best === -1 || this.isCheaper(this.inside[position]!, this.inside[best]!)) best = position;
    }
    return best;
  }

  private isCheaper(a: number, b: number): boolean {
    return (
      this.gains[a]! < this.gains[b]! || (this.gains[a] === this.gains[b] && this.changedAt[a]! < this.changedAt[b]!)
    );
  }

  private leave(position: number): void {
    if (position < 0) return;
    const vertex = this.inside[position]!;
    this.inside[position] = this.inside.at(-1)!;
    this.inside.pop();
    this.flip(vertex);
  }

  private flip(vertex: number): void {
    const enters = this.isIn[vertex] === 0;
    this.isIn[vertex] = enters ? 1 : 0;
    this.changedAt[vertex] = ++this.clock;
    for (const [neighbour, edge] of this.adjacency[vertex]!) {
      const weight = this.weights[edge]!;
      if (this.isIn[neighbour] === 1) this.gains[neighbour]! += enters ? -weight : weight;
      else {
        this.gains[neighbour]! += enters ? -weight : weight;
        if (enters) this.setClosed(edge);
        else this.setOpen(edge);
      }
    }
  }

  private setOpen(edge: number): void {
    this.openAt[edge] = this.open.length;
    this.open.push(edge);
  }

  private setClosed(edge: number): void {
    const position = this.openAt[edge]!;
    if (position === -1) return;
    const last = this.open.pop()!;
    if (last !== edge) {
      this.open[position] = last;
      this.openAt[last] = position;
    }
    this.openAt[edge] = -1;
  }
}
