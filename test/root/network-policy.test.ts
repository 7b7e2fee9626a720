import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { parseCallGraph } from '../../policies/planner/call-graph-file.ts';
import { defaultProfile } from '../../policies/planner/default-profile.ts';
import { optimize } from '../../policies/planner/optimize.ts';
import { type Plan, planOf } from '../../policies/planner/plan.ts';
import { planProblem } from '../../policies/planner/problem.ts';
import { type CompiledPlan, compilePlan } from '../../policies/planner/sidecar-file.ts';
import { toYaml } from '../../src/config/expand.ts';
import { admits } from '../policies/planner/network-policy-semantics.ts';
import { type Pod, TestNetwork, whyNoNamespaces } from '../support/netns.ts';
import { enforce, type LabelledPod, open } from '../support/network-policy.ts';

vi.setConfig({ testTimeout: 180_000 });

beforeEach((context) => {
  const reason = whyNoNamespaces('nft', 'curl');
  if (reason !== undefined) context.skip(reason);
});

const LAUNCHER = join(import.meta.dirname, '..', '..', 'bin', 'outrigger');
const APP_PORT = 8080;
const APP = `require('node:http').createServer((q, r) => { q.resume(); r.end(process.argv[1]); }).listen(${APP_PORT}, '::')`;

/** What may be asked of `vault`, and of nobody else. */
const POLICIES = `
policies:
  - name: keepers
    kind: AuthorizationPolicy
    to: vault
    spec: { action: ALLOW, rules: [{ to: [{ operation: { methods: [GET] } }] }] }
  - { name: tries, kind: RetryPolicy, from: [web, job], spec: { attempts: 1 } }
`;

/** Pods of a cluster: each service of the graph, and others that nobody told the planner of. */
class Cluster implements AsyncDisposable {
  readonly #network = TestNetwork.create();
  readonly #folder = mkdtempSync(join(tmpdir(), 'outrigger-cluster-'));
  readonly pods = new Map<string, LabelledPod>();

  /** With an app that answers with the pod's name. */
  async start(
    name: string,
    labels: Readonly<Record<string, string>> = { app: name },
    namespace = 'default',
  ): Promise<void> {
    const pod = this.#network.pod(name);
    this.pods.set(name, { pod, labels, namespace });
    pod.spawn([process.execPath, '-e', APP, name]);
    await expect.poll(() => this.ask(name, `127.0.0.1:${APP_PORT}`), { timeout: 30_000 }).toBe(`200 ${name}`);
  }

  pod(name: string): Pod {
    return this.pods.get(name)!.pod;
  }

  get all(): LabelledPod[] {
    return [...this.pods.values()];
  }

  /** Status and body of a request from a pod, or `refused`. */
  async ask(from: string, address: string, method = 'GET'): Promise<string> {
    const line = ['curl', '-gsS', '-m', '10', '-X', method, '-w', '\n%{http_code}', `http://${address}/`];
    const { code, stdout, stderr } = await this.pod(from).run(line);
    // 7: no connection; 56: reset while it waited for the answer.
    if (code === 7 || code === 56) return 'refused';
    if (code !== 0) return `curl: ${stderr}`;
    const [body = '', status = ''] = stdout.split('\n');
    return `${status} ${body}`;
  }

  /** Starts the sidecars of a plan, each in its service's pod. */
  async run({ sidecars }: CompiledPlan): Promise<void> {
    for (const [name, bootstrap] of sidecars) {
      const file = join(this.#folder, `${name}.yaml`);
      writeFileSync(file, toYaml(bootstrap));
      this.pod(name).spawn([LAUNCHER, 'run', '-c', file]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#network[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const SERVICES = ['web', 'job', 'vault', 'shop', 'other'];

function graphText(cluster: Cluster, policies = POLICIES, job = ''): string {
  const lines = SERVICES.map((name) => {
    const at = cluster.pod(name).ipv4;
    const rest = name === 'other' ? ', sidecar: false' : name === 'job' ? job : '';
    return `  ${name}: { app: "${at}:${APP_PORT}", listen: "${at}:15006"${rest} }`;
  });
  return `cluster: { network_policies: enforced }
services:
${lines.join('\n')}
calls:
  - { from: web, to: vault, rate: 10, via: "127.0.0.1:15101" }
  - { from: web, to: shop, rate: 10, via: "127.0.0.1:15102" }
  - { from: job, to: vault, rate: 10, via: "127.0.0.1:15101" }
  - { from: job, to: shop, rate: 10, via: "127.0.0.1:15102" }
${policies}`;
}

async function planText(text: string): Promise<{ plan: Plan; compiled: CompiledPlan }> {
  const problem = planProblem(parseCallGraph([{ file: 'graph.yaml', text }]));
  const optimum = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  return {
    plan: planOf(problem, defaultProfile(), 'cpu', optimum),
    compiled: compilePlan(problem, optimum.assignment),
  };
}

test('a policy that left its receiver: declared callers pass their sidecars, and the network refuses everybody else', async () => {
  await using cluster = new Cluster();
  for (const name of SERVICES) await cluster.start(name);
  await cluster.start('intruder');
  // The labels of a caller, in another namespace.
  await cluster.start('impostor', { app: 'web' }, 'elsewhere');
  const { plan, compiled } = await planText(graphText(cluster));
  expect(plan.adms.map(({ service }) => service).sort()).toEqual(['job', 'web']);
  expect(plan.networkPolicies.map(({ metadata }) => metadata.name)).toEqual(['outrigger-vault']);
  await cluster.run(compiled);

  const entry = (from: string): string =>
    compiled.addresses.find((one) => one.from === from && one.to === 'vault')!.address;
  for (const caller of ['web', 'job']) {
    await expect.poll(() => cluster.ask(caller, entry(caller)), { timeout: 60_000 }).toBe('200 vault');
    expect(await cluster.ask(caller, entry(caller), 'POST'), caller).toMatch(/^403 /);
  }
  const { ipv4, ipv6 } = cluster.pod('vault');
  const direct = [`${ipv4}:${APP_PORT}`, `[${ipv6}]:${APP_PORT}`];
  const undeclared = ['other', 'shop', 'intruder', 'impostor'];
  // Without the network policy that is a hole: no sidecar is in the way of what the rules forbid.
  for (const caller of undeclared)
    for (const address of direct) expect(await cluster.ask(caller, address, 'POST')).toBe('200 vault');

  enforce(plan.networkPolicies, cluster.all);
  for (const caller of undeclared) {
    for (const address of direct)
      for (const method of ['GET', 'POST']) expect(await cluster.ask(caller, address, method), caller).toBe('refused');
  }
  for (const caller of ['web', 'job']) {
    expect(await cluster.ask(caller, entry(caller)), caller).toBe('200 vault');
    expect(await cluster.ask(caller, entry(caller), 'POST'), caller).toMatch(/^403 /);
  }
  // The pod still reaches itself, and others are as open as they were.
  expect(await cluster.ask('vault', direct[0]!)).toBe('200 vault');
  for (const caller of undeclared.filter((name) => name !== 'shop'))
    expect(await cluster.ask(caller, `${cluster.pod('shop').ipv4}:${APP_PORT}`), caller).toBe('200 shop');

  open(cluster.all);
  expect(await cluster.ask('intruder', direct[0]!, 'POST')).toBe('200 vault');
});

test('a declared caller without a sidecar keeps the policy at the receiver, whose sidecar it then meets', async () => {
  await using cluster = new Cluster();
  for (const name of SERVICES) await cluster.start(name);
  const { plan, compiled } = await planText(
    graphText(cluster, POLICIES.replace('from: [web, job]', 'from: [web]'), ', sidecar: false'),
  );
  expect(plan.placements.find(({ policy }) => policy === 'keepers')).toMatchObject({ side: 'receiver', at: ['vault'] });
  expect(plan.networkPolicies).toEqual([]);
  await cluster.run(compiled);
  const { address } = compiled.addresses.find(({ from, to }) => from === 'job' && to === 'vault')!;
  await expect.poll(() => cluster.ask('job', address), { timeout: 60_000 }).toBe('200 vault');
  expect(await cluster.ask('job', address, 'POST')).toMatch(/^403 /);
});

test('who gets through is whom the rules of the API admit, for every pair of pods', async () => {
  await using cluster = new Cluster();
  for (const name of SERVICES) await cluster.start(name);
  await cluster.start('impostor', { app: 'web' }, 'elsewhere');
  // Guards of two receivers that share a caller, and of one that nobody calls.
  const policies = `policies:
  - { name: keepers, kind: AuthorizationPolicy, to: [vault, shop] }
  - { name: tries, kind: RetryPolicy, from: [web, job] }
  - { name: nobody, kind: RequestAuthentication, to: web }
`;
  const problem = planProblem(parseCallGraph([{ file: 'graph.yaml', text: graphText(cluster, policies) }]));
  const optimum = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  const { networkPolicies } = planOf(problem, defaultProfile(), 'cpu', optimum);
  expect(networkPolicies.length).toBeGreaterThanOrEqual(2);
  enforce(networkPolicies, cluster.all);
  const seen: string[] = [];
  const meant: string[] = [];
  for (const [from, caller] of cluster.pods) {
    for (const [to, callee] of cluster.pods) {
      if (from === to) continue;
      const answer = await cluster.ask(from, `${callee.pod.ipv4}:${APP_PORT}`);
      seen.push(`${from} → ${to}: ${answer}`);
      meant.push(`${from} → ${to}: ${admits(networkPolicies, caller, callee) ? `200 ${to}` : 'refused'}`);
    }
  }
  expect(seen).toEqual(meant);
  expect(seen.filter((line) => line.endsWith('refused')).length).toBeGreaterThan(5);
});
