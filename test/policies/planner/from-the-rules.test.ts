import { expect, test } from 'vitest';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { InfeasibleError } from '../../../policies/planner/conflict.ts';
import { parseCostProfile } from '../../../policies/planner/cost-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { planOf } from '../../../policies/planner/plan.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { Solver } from '../../../policies/planner/solver.ts';
import { type Best, bestOf, PASS_MICROS, type RawGraph, type RawPolicy } from './from-the-rules.ts';

/** Numbers of their own: those of the planner decide what its search does. */
function numbers(seed: number): (below: number) => number {
  let state = BigInt(seed) * 2862933555777941757n + 3037000493n;
  return (below) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number((state >> 33n) % BigInt(below));
  };
}

const KINDS = ['RequestAuthentication', 'AuthorizationPolicy', 'RateLimit', 'AccessLog', 'RetryPolicy'] as const;
/** More choices than these take too long to try. */
const MAX_SPOTS = 14;

interface Range {
  readonly rate: (below: (count: number) => number) => number;
  readonly cost: (below: (count: number) => number) => number;
  readonly replicas: (below: (count: number) => number) => number;
  /** Cores of a sidecar; undefined: no limit. */
  readonly cores: (below: (count: number) => number) => number | undefined;
}

/** Rates from one request in ten minutes to a hundred thousand in a second. */
const USUAL: Range = {
  rate: (below) => (1 + below(50)) * 10 ** (below(8) - 3),
  cost: (below) => below(40),
  replicas: (below) => 1 + below(3),
  cores: () => undefined,
};

const wide = (below: (count: number) => number): number => Number(`${1 + below(9)}e${below(15) - 6}`);

/** From a millionth to a thousand millions: as far as a graph may go. */
const EXTREME: Range = {
  rate: wide,
  cost: wide,
  replicas: (below) => (below(6) === 0 ? 1 + below(1_000_000) : 1 + below(3)),
  cores: (below) => (below(4) === 0 ? wide(below) : undefined),
};

function graphOf(seed: number, range: Range): RawGraph {
  const below = numbers(seed);
  const names = Array.from({ length: 2 + below(6) }, (_, index) => `s${index}`);
  const services = Object.fromEntries(
    names.map((name) => {
      const what = below(14);
      const replicas = range.replicas(below);
      const cpu = range.cores(below);
      const sidecar = what === 1 ? { sidecar: false as const } : cpu === undefined ? {} : { sidecar: { cpu } };
      return [name, what === 0 ? { external: true } : { replicas, ...sidecar }];
    }),
  );
  const calls = names.flatMap((from) =>
    names.flatMap((to) => (from !== to && below(10) < 4 ? [{ from, to, rate: range.rate(below) }] : [])),
  );
  const policies = Array.from({ length: 1 + below(6) }, (_, index): RawPolicy => {
    const some = names.filter(() => below(3) === 0);
    return {
      name: `p${index}`,
      kind: KINDS[below(KINDS.length)]!,
      to: some.length === 0 ? [names.at(-1)!] : some,
      ...(below(5) === 0 ? { from: names.filter((_name, at) => at === 0 || below(2) === 0) } : {}),
      ...(index > 0 && below(5) === 0 ? { after: [`p${below(index)}`] } : {}),
      cost: { sender: { cpu_us: range.cost(below) }, receiver: { cpu_us: range.cost(below) } },
    };
  });
  const cluster = {
    network_policies: below(3) === 0 ? 'absent' : 'enforced',
    undeclared_callers: below(3) === 0 ? 'none' : 'possible',
  };
  return { cluster, services, calls, policies };
}

const PROFILE = parseCostProfile(
  'c.yaml',
  `source: test\npass: { cpu_us: ${PASS_MICROS} }\nmemory_mib: 50\npolicies: {}\n`,
);

test.each([
  ['cpu', 'cpu', 'usual', USUAL],
  ['balance', 'busiest', 'usual', USUAL],
  // What takes the processor takes as long: without other figures the least CPU is the lowest latency.
  ['latency', 'cpu', 'usual', USUAL],
  ['cpu', 'cpu', 'extreme', EXTREME],
  ['balance', 'busiest', 'extreme', EXTREME],
  ['latency', 'cpu', 'extreme', EXTREME],
] as const)(
  'plans for %s are as good as the best of all choices, by an account of the rules of its own (the least %s, %s numbers)',
  { timeout: 400_000 },
  async (objective, measure, _name, range) => {
    await using solver = new Solver();
    let [planned, impossible] = [0, 0];
    for (let seed = 1; seed <= 400; seed++) {
      const graph = graphOf(seed, range);
      if (graph.policies.reduce((sum, { to }) => sum + to.length, 0) > MAX_SPOTS) continue;
      const problem = planProblem(parseCallGraph([{ file: 'g.json', text: JSON.stringify(graph) }]));
      const best = bestOf(graph);
      let found: Best | undefined;
      try {
        const optimum = await optimize(problem, PROFILE, { objective, solver, timeLimitMs: 60_000 });
        const plan = planOf(problem, PROFILE, objective, optimum);
        const row = plan.comparison.find(({ name }) => name === 'plan')!;
        const rates = graph.calls.reduce((sum, { rate }) => sum + rate, 0);
        const cpu = objective === 'latency' ? row.latencyMicros * rates : row.cpuCores * 1e6;
        found = { adms: plan.adms.length, cpu, busiest: row.busiestCores * 1e6 };
        expect(plan.proof.cost.isOptimal).toBe(true);
      } catch (error) {
        if (!(error instanceof InfeasibleError)) throw error;
      }
      if (best === undefined || found === undefined) {
        expect({ seed, found }, 'impossible for both').toEqual({ seed, found: best });
        impossible++;
        continue;
      }
      planned++;
      expect({ seed, adms: found.adms }).toEqual({ seed, adms: best.adms });
      expect(Math.abs(found[measure] - best[measure]) / Math.max(best[measure], 1e-300), `seed ${seed}`).toBeLessThan(
        1e-6,
      );
    }
    expect(planned).toBeGreaterThan(80);
    expect(impossible).toBeGreaterThan(5);
  },
);
