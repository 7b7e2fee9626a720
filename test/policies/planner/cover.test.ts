import { expect, test } from 'vitest';
import { components, type Graph, graphOf, maximumMatching, reduce } from '../../../policies/planner/cover.ts';
import { searchCover } from '../../../policies/planner/cover-search.ts';
import { generator } from '../../../policies/planner/smallest.ts';

function randomEdges(seed: number, vertices: number, share: number): [number, number][] {
  const random = generator(seed);
  const edges: [number, number][] = [];
  for (let a = 0; a < vertices; a++) for (let b = a + 1; b < vertices; b++) if (random() < share) edges.push([a, b]);
  return edges;
}

function smallestCover(edges: readonly (readonly [number, number])[], vertices: number): number {
  let best = vertices;
  for (let set = 0; set < 1 << vertices; set++) {
    const size = set.toString(2).replaceAll('0', '').length;
    if (size < best && edges.every(([a, b]) => (set >> a) % 2 === 1 || (set >> b) % 2 === 1)) best = size;
  }
  return best;
}

const NO_TIME = 0;

test('reductions never make the smallest cover larger', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const edges = randomEdges(seed, 9, 0.1 + (seed % 5) * 0.15);
    const { taken, graph } = reduce(graphOf(edges));
    const left = [...graph].flatMap(([a, others]) =>
      [...others].filter((b) => a < b).map((b): [number, number] => [a, b]),
    );
    for (const [a, b] of edges) expect(taken.has(a) || taken.has(b) || graph.get(a)?.has(b) === true).toBe(true);
    expect(taken.size + smallestCover(left, 9), `seed ${seed}`).toBe(smallestCover(edges, 9));
  }
});

test('local search finds covers, on small graphs the smallest', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const edges = randomEdges(seed, 12, 0.3);
    const cover = searchCover(graphOf(edges), performance.now() + 20, generator(seed));
    for (const [a, b] of edges) expect(cover.has(a) || cover.has(b)).toBe(true);
    expect(cover.size, `seed ${seed}`).toBe(smallestCover(edges, 12));
  }
});

test('without any time there is a cover all the same', () => {
  const edges = randomEdges(3, 60, 0.1);
  const cover = searchCover(graphOf(edges), NO_TIME, generator(1));
  for (const [a, b] of edges) expect(cover.has(a) || cover.has(b)).toBe(true);
});

test('a bipartite graph is settled by its reductions alone, however long its paths are', () => {
  const path = Array.from({ length: 5000 }, (_, index): [number, number] => [index, index + 1]);
  const { taken, graph } = reduce(graphOf(path));
  expect([taken.size, graph.size]).toEqual([2500, 0]);
  const grid: [number, number][] = [];
  for (let a = 0; a < 20; a++) for (let b = 100; b < 130; b++) grid.push([a, b]);
  expect(reduce(graphOf(grid)).taken.size).toBe(20);
  expect(maximumMatching(graphOf(grid)).matchLeft.size).toBe(40);
});

test('parts that nothing connects are told apart', () => {
  const graph: Graph = graphOf([
    [1, 2],
    [2, 3],
    [7, 8],
  ]);
  expect(components(graph)).toEqual([
    [7, 8],
    [1, 2, 3],
  ]);
});
