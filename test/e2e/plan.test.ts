import { expect, test } from 'vitest';
import { fullMesh } from '../../policies/planner/baseline.ts';
import { parseCallGraph } from '../../policies/planner/call-graph-file.ts';
import { constraintsOf } from '../../policies/planner/constraints.ts';
import { defaultProfile } from '../../policies/planner/default-profile.ts';
import { withoutAdm } from '../../policies/planner/loss.ts';
import { optimize } from '../../policies/planner/optimize.ts';
import { type PlanProblem, planProblem } from '../../policies/planner/problem.ts';
import { type CompiledPlan, compilePlan } from '../../policies/planner/sidecar-file.ts';
import { type FiveServices, fiveServices, POLICIES, STOCK_LIMIT } from '../policies/planner/five-services.ts';
import { MeshProcesses } from '../policies/planner/mesh-processes.ts';

/** Every request that tells placements apart, and the status that full placement gives it. */
async function observe(mesh: MeshProcesses): Promise<string[]> {
  const seen: string[] = [];
  const ask = async (from: string, to: string, method: string, path: string): Promise<void> => {
    seen.push(`${from} → ${to} ${method} ${path}: ${await mesh.call(from, to, path, { method })}`);
  };
  await ask('browser', 'web', 'GET', '/');
  await ask('browser', 'web', 'GET', '/internal/keys');
  await ask('browser', 'web', 'GET', '/x/../internal/keys');
  await ask('web', 'orders', 'GET', '/1');
  await ask('web', 'orders', 'POST', '/1');
  await ask('orders', 'mail', 'GET', '/one');
  await ask('orders', 'mail', 'GET', '/bulk');
  await ask('web', 'search', 'GET', '/q');
  // What is not allowed does not count: with the limit in front of the rules, fewer would pass afterwards.
  for (let count = 0; count < STOCK_LIMIT; count++) await ask('web', 'stock', 'DELETE', '/1');
  // One limit for both callers.
  for (let count = 0; count < STOCK_LIMIT; count++) await ask(count % 2 === 0 ? 'web' : 'orders', 'stock', 'GET', '/1');
  await ask('web', 'stock', 'GET', '/1');
  await ask('orders', 'stock', 'GET', '/1');
  return seen;
}

async function started(services: FiveServices, problem: PlanProblem, compiled: CompiledPlan): Promise<MeshProcesses> {
  const mesh = new MeshProcesses();
  for (const [name, address] of Object.entries(services.apps)) await mesh.startApp(name, address);
  const limit = problem.graph.policies.find(({ kind }) => kind === 'RateLimit')?.document;
  if (limit !== undefined) await mesh.startLimits(limit.kind.compile(limit, 'receiver').limits!, services.limits);
  await mesh.run(compiled);
  return mesh;
}

test('five services under the plan and under full placement: the same is allowed, denied and limited, with fewer sidecars', {
  timeout: 240_000,
}, async () => {
  const services = await fiveServices();
  const problem = planProblem(parseCallGraph([{ file: 'five.yaml', text: services.text }]));
  const full = fullMesh(problem, constraintsOf(problem));
  const { assignment } = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  expect(assignment.adms.size).toBeLessThan(full.adms.size);
  const movedOf = problem.placements
    .filter((_, index) => assignment.sides[index] === 'sender')
    .map(({ policy }) => policy.name);
  expect(movedOf).toEqual(expect.arrayContaining(['no-spam', 'stock-limit', 'readers']));

  const results: { sidecars: number; seen: string[] }[] = [];
  for (const compiled of [compilePlan(problem, full, { everything: true }), compilePlan(problem, assignment)]) {
    await using mesh = await started(services, problem, compiled);
    results.push({ sidecars: mesh.sidecars, seen: await observe(mesh) });
  }
  const [fullRun, planRun] = results as [(typeof results)[0], (typeof results)[0]];
  expect(fullRun.seen).toEqual(
    expect.arrayContaining([
      'browser → web GET /: 200',
      'browser → web GET /internal/keys: 403',
      'web → orders POST /1: 403',
      'orders → mail GET /bulk: 403',
      'web → stock DELETE /1: 403',
      'orders → stock GET /1: 200',
      'web → stock GET /1: 429',
      'orders → stock GET /1: 429',
    ]),
  );
  expect(planRun.seen).toEqual(fullRun.seen);
  expect([fullRun.sidecars, planRun.sidecars]).toEqual([5, 2]);
});

const SURVIVING = `policies:
  - name: readers
    kind: AuthorizationPolicy
    to: [orders, stock]
    spec: { action: ALLOW, rules: [{ to: [{ operation: { methods: [GET] } }] }] }
`;

test('an ADM is lost: its traffic is refused, never let through, until the standby has its policies', {
  timeout: 240_000,
}, async () => {
  const services = await fiveServices(SURVIVING);
  const problem = planProblem(parseCallGraph([{ file: 'five.yaml', text: services.text }]), { survive: true });
  const { assignment } = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  const compiled = compilePlan(problem, assignment);
  await using mesh = await started(services, problem, compiled);
  const allowed = (): Promise<number | string> => mesh.call('web', 'orders', '/1');
  const denied = (): Promise<number | string> => mesh.call('web', 'orders', '/1', { method: 'POST' });
  expect([await allowed(), await denied()]).toEqual([200, 403]);

  const holder = problem.placements.findIndex(({ receiver }) => problem.graph.services[receiver]!.name === 'orders');
  const lostName = assignment.sides[holder] === 'receiver' ? 'orders' : 'web';
  await mesh.kill(lostName);
  // Nothing stands where the app's calls go: they fail, the allowed ones too.
  const during = [await allowed(), await denied()];
  for (const status of during) expect(['ECONNREFUSED', 503]).toContain(status);
  const atLoss = await mesh.counted();

  const lost = problem.graph.services.findIndex(({ name }) => name === lostName);
  const left = withoutAdm(problem, assignment, lost)!;
  await mesh.run(compilePlan(problem, left));
  expect(mesh.names).not.toContain(lostName);
  await expect.poll(allowed, { timeout: 30_000 }).toBe(200);
  expect(await denied()).toBe(403);
  expect(await mesh.call('web', 'stock', '/1', { method: 'POST' })).toBe(403);
  expect(await mesh.call('orders', 'stock', '/1')).toBe(200);
  // The two POSTs are counted by those who stand in: nobody else could have denied them.
  await expect.poll(() => mesh.counted(), { timeout: 30_000 }).toMatchObject({ denied: atLoss.denied + 2 });
});

test('a service is lost: what its senders are denied, try again, give up and get back, by their sidecars’ own count', {
  timeout: 240_000,
}, async () => {
  const services = await fiveServices(
    POLICIES.replace('spec: { attempts: 1 }', 'spec: { attempts: 2, on: [connect-failure, reset] }'),
  );
  const problem = planProblem(parseCallGraph([{ file: 'five.yaml', text: services.text }]));
  const { assignment } = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000 });
  await using mesh = await started(services, problem, compilePlan(problem, assignment));
  // POST: what may come twice is sent again on a fresh connection, whatever the policy says.
  const mail = (path: string): Promise<number | string> => mesh.call('orders', 'mail', path, { method: 'POST' });
  const ledger = async (): Promise<unknown> => mesh.counted();
  expect(await mail('/one')).toBe(200);
  expect(await ledger()).toEqual({ denied: 0, retried: 0, recovered: 0, givenUp: 0 });

  // One process dies with the request: its sender has it from the next one and notices nothing.
  mesh.crashWithNextRequest('mail');
  expect(await mail('/one')).toBe(200);
  await expect.poll(ledger, { timeout: 30_000 }).toEqual({ denied: 0, retried: 1, recovered: 1, givenUp: 0 });

  mesh.stopApp('mail');
  for (let count = 0; count < 3; count++) expect(await mail('/one')).toBe(503);
  await expect.poll(ledger, { timeout: 30_000 }).toEqual({ denied: 0, retried: 7, recovered: 1, givenUp: 3 });
  // What is denied is denied whoever is there behind it, and is not tried again.
  expect(await mail('/bulk')).toBe(403);
  await expect.poll(ledger, { timeout: 30_000 }).toEqual({ denied: 1, retried: 7, recovered: 1, givenUp: 3 });

  await mesh.startApp('mail', services.apps.mail!);
  await expect.poll(() => mail('/one'), { timeout: 30_000 }).toBe(200);
  const after = await mesh.counted();
  expect(await mail('/one')).toBe(200);
  await expect.poll(ledger, { timeout: 30_000 }).toEqual(after);
});
