import { expect, test } from 'vitest';
import { builtinRegistry } from '../../../filters/index.ts';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { type CompiledPlan, compilePlan } from '../../../policies/planner/sidecar-file.ts';
import { loadConfig } from '../../../src/config/load.ts';

async function compiled(text: string): Promise<CompiledPlan> {
  const problem = planProblem(parseCallGraph([{ file: 'g.yaml', text }]));
  const { assignment } = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  const made = compilePlan(problem, assignment);
  for (const [name, bootstrap] of made.sidecars)
    loadConfig(`${name}.yaml`, { registry: builtinRegistry(), text: JSON.stringify(bootstrap) });
  return made;
}

const GUARDED = `
services:
  web: { source: 10.0.1.0/24, app: "127.0.0.1:8001" }
  job: { source: 10.0.2.0/24, app: "127.0.0.1:8002" }
  vault: { app: "127.0.0.1:8003", listen: "127.0.0.1:9003" }
calls: [{ from: [web, job], to: vault }]
policies:
- { name: web-reads, kind: AuthorizationPolicy, to: vault, from: web, spec: { rules: [{ to: [{ operation: { methods: [GET] } }] }] } }
`;

function chainsOf({ sidecars }: CompiledPlan, service: string): Record<string, unknown>[] {
  const { listeners } = sidecars.get(service)!.static_resources as {
    listeners: { filter_chains: Record<string, unknown>[] }[];
  };
  expect(listeners).toHaveLength(1);
  return listeners[0]!.filter_chains;
}

test('nobody reaches an app past the ADM that guards it, whoever the policy is about', async () => {
  const made = await compiled(GUARDED);
  expect(made.addresses.map(({ from, address }) => [from, address])).toEqual([
    ['web', '127.0.0.1:9003'],
    ['job', '127.0.0.1:9003'],
  ]);
  const [everybody, job] = chainsOf(made, 'vault');
  // Who is not known by address gets all policies.
  expect(everybody!.filter_chain_match).toBeUndefined();
  expect(JSON.stringify(everybody)).toContain('rbac');
  expect(job!.filter_chain_match).toEqual({ source_prefix_ranges: [{ address_prefix: '10.0.2.0', prefix_len: 24 }] });
  expect(JSON.stringify(job)).not.toContain('rbac');
});

test('callers that cannot be told apart are an error that names what is missing', async () => {
  const text = GUARDED.replace('job: { source: 10.0.2.0/24, ', 'job: { ');
  await expect(compiled(text)).rejects.toThrow('services.job.source is needed for sidecar files');
});

test('who listens at all addresses is found by the name of the service, where that can be a name of a host', async () => {
  const everywhere = GUARDED.replace('127.0.0.1:9003', '0.0.0.0:9003');
  expect(new Set((await compiled(everywhere)).addresses.map(({ address }) => address))).toEqual(
    new Set(['vault:9003']),
  );
  const six = (await compiled(everywhere.replace('0.0.0.0', '[::]').replaceAll('vault', 'Vault_1'))).addresses;
  expect(six.map(({ address }) => address)).toEqual(['Vault_1:9003', 'Vault_1:9003']);
  await expect(compiled(everywhere.replaceAll('vault', 'va..ult'))).rejects.toThrow(
    'services.va..ult.listen is all addresses, and callers cannot find it by its name',
  );
});

test('a log at the receiver makes nobody pass whom it is not about', async () => {
  const text = GUARDED.replace('kind: AuthorizationPolicy', 'kind: AccessLog, side: receiver').replace(
    /spec: .* }/,
    'spec: { to: stdout } }',
  );
  const { addresses } = await compiled(text);
  expect(addresses.find(({ from }) => from === 'job')?.address).toBe('127.0.0.1:8003');
});

test('filters of a Custom policy stand in the sidecar, and an order that one sidecar does not have is refused', async () => {
  const custom = `${GUARDED.replace('from: web, ', '')}- { name: own, kind: Custom, to: vault, semantics: { protects: load, sides: receiver }, filters: [{ rate_limit: { requests: 3, per: 1h } }] }\n`;
  const made = await compiled(custom);
  expect(JSON.stringify(chainsOf(made, 'vault'))).toMatch(/rbac.*local_ratelimit/);
  const reversed = custom.replace('to: vault, spec', 'to: vault, after: own, spec');
  await expect(compiled(reversed)).rejects.toThrow('"web-reads" cannot come after "own" at vault');
});
