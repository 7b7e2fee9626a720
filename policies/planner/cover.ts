/**
 * Vertex covers. Once every placement's side is resolved away, the smallest set of ADMs is one: "the receiver, or all of
 * its senders" is "the receiver or this sender" for each sender, an edge of a graph of services.
 */

/** Neighbours by vertex. */
export type Graph = ReadonlyMap<number, ReadonlySet<number>>;

export function graphOf(edges: Iterable<readonly [number, number]>): Map<number, Set<number>> {
  const graph = new Map<number, Set<number>>();
  const at = (vertex: number): Set<number> => {
    const there = graph.get(vertex) ?? new Set<number>();
    graph.set(vertex, there);
    return there;
  };
  for (const [a, b] of edges) {
    at(a).add(b);
    at(b).add(a);
  }
  return graph;
}

/** What the reductions leave: vertices that some smallest cover has, and a smaller graph that has to be covered yet. */
export interface Kernel {
  readonly taken: ReadonlySet<number>;
  readonly graph: Map<number, Set<number>>;
}

/**
 * Shrinks a graph without making its smallest cover larger: the neighbour of a vertex with one neighbour is taken; so is
 * a vertex that has all neighbours of one of its neighbours; and what a linear program settles (Nemhauser, Trotter 1975).
 */
export function reduce(input: Graph): Kernel {
  const graph = new Map(Array.from(input, ([vertex, neighbours]) => [vertex, new Set(neighbours)]));
  const taken = new Set<number>();
  for (;;) {
    takeNeighbours(graph, taken);
    if (takeDominators(graph, taken)) continue;
    if (!settleByLinearProgram(graph, taken)) return { taken, graph };
  }
}

function take(graph: Map<number, Set<number>>, taken: Set<number>, vertex: number, touched?: number[]): void {
  taken.add(vertex);
  for (const neighbour of graph.get(vertex) ?? []) {
    const left = graph.get(neighbour)!;
    left.delete(vertex);
    if (left.size === 0) graph.delete(neighbour);
    else touched?.push(neighbour);
  }
  graph.delete(vertex);
}

function takeNeighbours(graph: Map<number, Set<number>>, taken: Set<number>): void {
  const queue = [...graph.keys()];
  for (let vertex = queue.pop(); vertex !== undefined; vertex = queue.pop()) {
    const neighbours = graph.get(vertex);
    if (neighbours?.size !== 1) continue;
    const [only] = neighbours;
    take(graph, taken, only!, queue);
  }
}

/** A vertex with more neighbours than these is not looked at: it costs more than it finds. */
const MAX_DEGREE = 60;

function takeDominators(graph: Map<number, Set<number>>, taken: Set<number>): boolean {
  let isChanged = false;
  for (const [vertex, neighbours] of [...graph]) {
    if (graph.get(vertex) !== neighbours || neighbours.size > MAX_DEGREE) continue;
    for (const candidate of neighbours) {
      const others = graph.get(candidate)!;
      if (others.size < neighbours.size) continue;
      if (![...neighbours].every((one) => one === candidate || others.has(one))) continue;
      take(graph, taken, candidate);
      isChanged = true;
      break;
    }
  }
  return isChanged;
}

/**
 * The linear program's vertices have the values 0, ½ and 1, and some smallest cover agrees with it on the whole ones. It is
 * a matching of the graph's double cover (Hopcroft, Karp), by König's theorem.
 */
function settleByLinearProgram(graph: Map<number, Set<number>>, taken: Set<number>): boolean {
  const { matchLeft, matchRight } = maximumMatching(graph);
  // Reachable from unmatched left vertices over alternating paths: Z. The cover is (left not in Z) and (right in Z).
  const left = new Set([...graph.keys()].filter((vertex) => !matchLeft.has(vertex)));
  const right = new Set<number>();
  const queue = [...left];
  for (let vertex = queue.pop(); vertex !== undefined; vertex = queue.pop()) {
    for (const neighbour of graph.get(vertex)!) {
      if (right.has(neighbour)) continue;
      right.add(neighbour);
      const back = matchRight.get(neighbour);
      if (back !== undefined && !left.has(back)) {
        left.add(back);
        queue.push(back);
      }
    }
  }
  const ones = [...graph.keys()].filter((vertex) => !left.has(vertex) && right.has(vertex));
  for (const vertex of ones) if (graph.has(vertex)) take(graph, taken, vertex);
  return ones.length > 0;
}

interface Matching {
  readonly matchLeft: ReadonlyMap<number, number>;
  readonly matchRight: ReadonlyMap<number, number>;
}

/** Of the double cover: each vertex once at the left and once at the right. */
export function maximumMatching(graph: Graph): Matching {
  const matchLeft = new Map<number, number>();
  const matchRight = new Map<number, number>();
  for (;;) {
    const layer = layers(graph, matchLeft, matchRight);
    if (layer === undefined) return { matchLeft, matchRight };
    const visited = new Set<number>();
    for (const start of graph.keys())
      if (!matchLeft.has(start)) augment(graph, start, layer, visited, matchLeft, matchRight);
  }
}

/** Distances of left vertices from unmatched ones; undefined when no path ends at an unmatched right vertex. */
function layers(
  graph: Graph,
  matchLeft: ReadonlyMap<number, number>,
  matchRight: ReadonlyMap<number, number>,
): Map<number, number> | undefined {
  const distance = new Map<number, number>();
  const queue = [...graph.keys()].filter((vertex) => !matchLeft.has(vertex));
  for (const vertex of queue) distance.set(vertex, 0);
  let isOpen = false;
  for (let at = 0; at < queue.length; at++) {
    const vertex = queue[at]!;
    for (const neighbour of graph.get(vertex)!) {
      const next = matchRight.get(neighbour);
      if (next === undefined) isOpen = true;
      else if (!distance.has(next)) {
        distance.set(next, distance.get(vertex)! + 1);
        queue.push(next);
      }
    }
  }
  return isOpen ? distance : undefined;
}

/** One augmenting path along the layers; with a stack of its own, since paths may be as long as the graph. */
function augment(
  graph: Graph,
  start: number,
  distance: ReadonlyMap<number, number>,
  visited: Set<number>,
  matchLeft: Map<number, number>,
  matchRight: Map<number, number>,
): void {
  const stack: { vertex: number; neighbours: Iterator<number>; via: number }[] = [];
  const enter = (vertex: number): void => {
    visited.add(vertex);
    stack.push({ vertex, neighbours: graph.get(vertex)![Symbol.iterator](), via: -1 });
  };
  enter(start);
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const { value: neighbour, done } = top.neighbours.next();
    if (done === true) {
      stack.pop();
      continue;
    }
    top.via = neighbour;
    const next = matchRight.get(neighbour);
    if (next === undefined) {
      for (const { vertex, via } of stack) {
        matchLeft.set(vertex, via);
        matchRight.set(via, vertex);
      }
      return;
    }
    if (!visited.has(next) && distance.get(next) === distance.get(top.vertex)! + 1) enter(next);
  }
}

/** Parts that no edge connects, the smallest first. */
export function components(graph: Graph): number[][] {
  const seen = new Set<number>();
  const found: number[][] = [];
  for (const start of graph.keys()) {
    if (seen.has(start)) continue;
    const part = [start];
    seen.add(start);
    for (let at = 0; at < part.length; at++) {
      for (const neighbour of graph.get(part[at]!)!) {
        if (seen.has(neighbour)) continue;
        seen.add(neighbour);
        part.push(neighbour);
      }
    }
    found.push(part);
  }
  return found.sort((a, b) => a.length - b.length);
}

/** Cliques that together have every edge: of each all vertices but one are in a cover, a stronger row than its edges. */
export function cliqueCover(graph: Graph, vertices: readonly number[]): number[][] {
  const covered = new Set<string>();
  const key = (a: number, b: number): string => (a < b ? `${a} ${b}` : `${b} ${a}`);
  const cliques: number[][] = [];
  for (const a of vertices) {
    for (const b of graph.get(a)!) {
      if (a > b || covered.has(key(a, b))) continue;
      const clique = [a, b];
      for (const c of graph.get(a)!) {
        if (clique.every((one) => one !== c && graph.get(c)!.has(one))) clique.push(c);
      }
      for (const [position, one] of clique.entries())
        for (const other of clique.slice(position + 1)) covered.add(key(one, other));
      cliques.push(clique);
    }
  }
  return cliques;
}
