import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, PATH_KIND, RouteIndex } from '../../../src/http/route/route-index.ts';
import { hashStream, requestHead } from './route-fixture.ts';

const unit = fc.constantFrom('a', 'b', '/', '.');
const text = fc.string({ unit, maxLength: 6 }).map((rest) => `/${rest}`);

const candidate: fc.Arbitrary<Omit<Candidate<number>, 'value'>> = fc
  .record({
    kind: fc.constantFrom(...Object.values(PATH_KIND)),
    text: fc.oneof(text, fc.constant('')),
    // A condition of the request that half of the requests fulfil.
    needsHeader: fc.boolean(),
    ending: fc.constantFrom('', 'a', '/', 'b.'),
  })
  .map(({ kind, text: literal, needsHeader, ending }) => ({
    kind,
    text: kind === PATH_KIND.CONNECT ? '' : literal,
    test: kind === PATH_KIND.TEST ? (path: string) => path.startsWith(literal) && path.endsWith(ending) : undefined,
    condition: needsHeader ? (request) => request.has('x-wanted') : undefined,
  }));

/** Tries all candidates in order, as the specification says. */
function naive(
  candidates: readonly Candidate<number>[],
  method: string,
  path: string,
  wanted: boolean,
): number | undefined {
  const pure = path.split('?')[0] as string;
  for (const each of candidates) {
    if (each.condition !== undefined && !wanted) continue;
    if (each.kind === PATH_KIND.CONNECT ? method === 'CONNECT' : path !== '' && comparesPath(each, pure))
      return each.value;
  }
  return undefined;
}

function comparesPath(each: Candidate<number>, path: string): boolean {
  if (each.kind === PATH_KIND.PREFIX) return path.startsWith(each.text);
  if (each.kind === PATH_KIND.EXACT) return path === each.text;
  if (each.kind === PATH_KIND.SEPARATED_PREFIX) return path === each.text || path.startsWith(`${each.text}/`);
  return each.test?.(path) === true;
}

describe('RouteIndex', () => {
  it('finds what trying every route in order finds', () => {
    fc.assert(
      fc.property(
        fc.array(candidate, { maxLength: 25 }),
        fc.array(
          fc.record({
            path: fc.oneof(text, fc.constant('')),
            query: fc.constantFrom('', '?', '?/a', '?b.'),
            wanted: fc.boolean(),
            method: fc.constantFrom('GET', 'CONNECT'),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (list, requests) => {
          const candidates = list.map((each, value): Candidate<number> => ({ ...each, value }));
          const index = new RouteIndex(candidates);
          for (const { path, query, wanted, method } of requests) {
            const target = path === '' ? '' : path + query;
            const request = requestHead(target, { method, headers: wanted ? [['x-wanted', '1']] : [] });
            const found = index.find(request, path.length, hashStream(request));
            expect(found, `${method} ${target}`).toBe(naive(candidates, method, target, wanted));
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('evaluates conditions of a route only when no earlier one has matched', () => {
    let asked = 0;
    const route = (value: number, condition: (() => boolean) | undefined): Candidate<number> => ({
      kind: PATH_KIND.PREFIX,
      text: '/a',
      test: undefined,
      condition,
      value,
    });
    const count = (): boolean => {
      asked++;
      return true;
    };
    const index = new RouteIndex([route(0, undefined), route(1, count)]);
    const request = requestHead('/a');
    expect(index.find(request, 2, hashStream(request))).toBe(0);
    expect(asked).toBe(0);
  });

  it('needs about as long among 5000 routes as among 5', () => {
    const table = (count: number): RouteIndex<number> =>
      new RouteIndex(
        Array.from({ length: count }, (_, value) => ({
          kind: PATH_KIND.PREFIX,
          text: `/service-${value}/`,
          test: undefined,
          condition: undefined,
          value,
        })),
      );
    const request = requestHead('/service-3/orders/17');
    const stream = hashStream(request);
    const time = (index: RouteIndex<number>): number => {
      let best = Number.POSITIVE_INFINITY;
      for (let round = 0; round < 7; round++) {
        const started = performance.now();
        for (let i = 0; i < 20_000; i++) index.find(request, request.path.length, stream);
        best = Math.min(best, performance.now() - started);
      }
      return best;
    };
    const small = time(table(5));
    expect(time(table(5000))).toBeLessThan(small * 10 + 5);
  });
});
