import { expect, test } from 'vitest';
import type { CallGraph, Service } from '../../../policies/planner/call-graph.ts';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { InfeasibleError } from '../../../policies/planner/conflict.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { type Plan, planOf } from '../../../policies/planner/plan.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { Solver } from '../../../policies/planner/solver.ts';
import { admits, type Pod } from './network-policy-semantics.ts';
import { randomGraph } from './random-graph.ts';

/** Somebody who connects: a service of the graph, or one that nobody told the planner of. */
interface Caller {
  readonly name: string;
  /** No pod when it is outside of the cluster. */
  readonly pod: Pod | undefined;
  readonly calls: ReadonlySet<string>;
}

function podOf({ namespace, labels, external }: Service): Pod | undefined {
  return external ? undefined : { namespace, labels };
}

/** Everybody in the graph, a pod without sidecar that is not in it, one in another namespace, and the outside. */
function callersOf(graph: CallGraph): Caller[] {
  const declared = graph.services.map((service, index) => ({
    name: service.name,
    pod: podOf(service),
    calls: new Set(graph.calls.filter(({ from }) => from === index).map(({ to }) => graph.services[to]!.name)),
  }));
  const nobody = new Set<string>();
  const twin = graph.services.find(({ external }) => !external);
  return [
    ...declared,
    { name: '(undeclared)', pod: { namespace: 'default', labels: { app: 'intruder' } }, calls: nobody },
    { name: '(elsewhere)', pod: { namespace: 'other', labels: twin?.labels ?? {} }, calls: nobody },
    { name: '(outside)', pod: undefined, calls: nobody },
  ];
}

/** Policies that full placement, at the receiver, has for a caller, and the plan has not. */
function holesOf(graph: CallGraph, plan: Plan): string[] {
  const holes: string[] = [];
  for (const receiver of graph.services) {
    const pod = podOf(receiver);
    if (pod === undefined) continue;
    for (const caller of callersOf(graph)) {
      if (caller.name === receiver.name || !admits(plan.networkPolicies, caller.pod, pod)) continue;
      const isDeclared = caller.calls.has(receiver.name);
      for (const policy of graph.policies) {
        const { semantics, from, to } = policy;
        if (semantics.protects === 'nothing' || semantics.sides === 'sender') continue;
        // What its kind has at the senders restrains these alone, and an own counter of each of them is what it means.
        if (semantics.home === 'sender' && policy.side !== 'receiver' && !isDeclared) continue;
        if (semantics.protects === 'load' && graph.cluster.undeclaredCallers === 'none' && !isDeclared) continue;
        const isAbout =
          (to === undefined
            ? receiver.takesSidecar || isDeclared
            : to.some((one) => graph.services[one] === receiver)) &&
          (from === undefined || (isDeclared && from.some((one) => graph.services[one]!.name === caller.name)));
        if (!isAbout) continue;
        const isEnforced = plan.adms.some(({ service, policies }) =>
          policies.some((one) => {
            if (one.policy !== policy.name || one.standby) return false;
            if (one.direction === 'egress')
              return service === caller.name && isDeclared && one.peers.includes(receiver.name);
            return service === receiver.name && (one.peers.length === 0 || one.peers.includes(caller.name));
          }),
        );
        if (!isEnforced) holes.push(`${caller.name} → ${receiver.name} without ${policy.name} (${policy.kind})`);
      }
    }
  }
  return holes;
}

test('no caller, declared or not, gets around a policy that full placement would have for it', {
  timeout: 240_000,
}, async () => {
  await using solver = new Solver();
  const profile = defaultProfile();
  let moved = 0;
  for (let seed = 5000; seed < 6000; seed++) {
    const graph = randomGraph(seed);
    for (const survive of [false, true]) {
      const problem = planProblem(graph, { survive });
      try {
        const optimum = await optimize(problem, profile, { objective: 'cpu', timeLimitMs: 60_000, solver });
        const plan = planOf(problem, profile, 'cpu', optimum);
        expect({ seed, survive, holes: holesOf(graph, plan) }).toEqual({ seed, survive, holes: [] });
        moved += plan.networkPolicies.length;
      } catch (error) {
        if (!(error instanceof InfeasibleError)) throw error;
      }
    }
  }
  expect(moved).toBeGreaterThan(100);
});

/** A graph whose only smallest plan guards `vault` at its two callers. */
const VAULT = `
services: { web: {}, job: {}, vault: {}, shop: {}, cron: {}, other: { sidecar: false } }
calls:
  - { from: web, to: [vault, shop], rate: 10 }
  - { from: job, to: [vault, cron], rate: 10 }
policies:
  - { name: keepers, kind: AuthorizationPolicy, to: vault }
  - { name: shop-rules, kind: RetryPolicy, from: [web, job] }
`;

async function planText(text: string): Promise<Plan> {
  const problem = planProblem(parseCallGraph([{ file: 'vault.yaml', text }]));
  const optimum = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  return planOf(problem, defaultProfile(), 'cpu', optimum);
}

test('an authorization policy leaves its receiver only with a network policy that closes it', async () => {
  const open = await planText(VAULT);
  expect(open.placements.find(({ policy }) => policy === 'keepers')).toMatchObject({ side: 'receiver', at: ['vault'] });
  expect(open.networkPolicies).toEqual([]);

  const closed = await planText(`cluster: { network_policies: enforced }\n${VAULT}`);
  expect(closed.placements.find(({ policy }) => policy === 'keepers')).toMatchObject({
    side: 'sender',
    at: ['web', 'job'],
  });
  const pod = (app: string, namespace = 'default'): Pod => ({ namespace, labels: { app } });
  const vault = pod('vault');
  expect(admits(closed.networkPolicies, pod('web'), vault)).toBe(true);
  expect(admits(closed.networkPolicies, pod('job'), vault)).toBe(true);
  expect(admits(closed.networkPolicies, pod('other'), vault), 'a service without sidecar').toBe(false);
  expect(admits(closed.networkPolicies, pod('web', 'elsewhere'), vault), 'the same name elsewhere').toBe(false);
  expect(admits(closed.networkPolicies, undefined, vault), 'the outside').toBe(false);
  expect(admits(closed.networkPolicies, pod('other'), pod('shop')), 'other receivers stay open').toBe(true);
});

test.each([
  [
    'a service without sidecar carries the labels of a sender',
    'other: { sidecar: false }',
    'other: { sidecar: false, labels: { app: web, tier: x } }',
  ],
  ['the receiver’s labels are another service’s too', 'other: { sidecar: false }', 'other: { labels: { app: vault } }'],
  ['a caller is outside of the cluster', 'job: {}', 'job: { external: true }'],
  ['a caller takes no sidecar', 'job: {}', 'job: { sidecar: false }'],
])('it stays when %s', async (_, from, to) => {
  const policies = to.includes('job') ? VAULT.replace('[web, job]', 'web') : VAULT;
  const plan = await planText(`cluster: { network_policies: enforced }\n${policies.replace(from, to)}`);
  expect(plan.placements.find(({ policy }) => policy === 'keepers')?.side).toBe('receiver');
  expect(plan.networkPolicies).toEqual([]);
});

test.each([
  ['a rate limit of a service', 'kind: RateLimit', 'sender'],
  ['a local limit', 'kind: Custom, semantics: { state: process, protects: load }', 'receiver'],
  [
    'a local limit whose state is shared',
    'kind: Custom, shared: true, semantics: { state: process, protects: load }',
    'sender',
  ],
  ['a circuit breaker, each sender’s own,', 'kind: CircuitBreaker', 'sender'],
  ['a circuit breaker wanted at the receiver', 'kind: CircuitBreaker, side: receiver', 'receiver'],
])('%s is at the side where it means the same', async (_, kind, side) => {
  const text = VAULT.replace('kind: AuthorizationPolicy', kind);
  const plan = await planText(`cluster: { network_policies: enforced }\n${text}`);
  expect(plan.placements.find(({ policy }) => policy === 'keepers')?.side).toBe(side);
});

test('a guarded service that nobody calls needs no ADM where it can be closed to everybody', async () => {
  const text = 'services: { lonely: {} }\npolicies: [{ name: guard, kind: RequestAuthentication, to: lonely }]\n';
  expect((await planText(text)).adms.map(({ service }) => service)).toEqual(['lonely']);
  const closed = await planText(`cluster: { network_policies: enforced }\n${text}`);
  expect(closed.adms).toEqual([]);
  const lonely: Pod = { namespace: 'default', labels: { app: 'lonely' } };
  expect(admits(closed.networkPolicies, { namespace: 'default', labels: { app: 'web' } }, lonely)).toBe(false);
});
