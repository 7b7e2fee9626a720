import { expect, test } from 'vitest';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { InfeasibleError } from '../../../policies/planner/conflict.ts';
import { parseCostProfile } from '../../../policies/planner/cost-profile.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { planProblem } from '../../../policies/planner/problem.ts';

const BASE = 'services: { a: {}, b: {} }\ncalls:\n- { from: a, to: b }\n';

function problemOf(text: string): string {
  try {
    parseCallGraph([{ file: 'g.yaml', text }]);
  } catch (error) {
    return (error as Error).message;
  }
  return 'no problem';
}

test.each([
  [
    'an unknown service',
    'services: { web: {}, cart: {} }\ncalls:\n- { from: web, to: crat }',
    'g.yaml:3:16  calls[0].to  there is no service "crat"; did you mean cart?',
  ],
  ['an unknown field', 'services:\n  web: { replica: 2 }', 'g.yaml:2:10  services.web.replica  unknown field'],
  ['a negative rate', `${BASE.replace('to: b', 'to: b, rate: -1')}`, '-1 is out of range; allowed: at least 0'],
  [
    'a rate that is no number',
    `${BASE.replace('to: b', 'to: b, rate: .nan')}`,
    'expected a number, got the number NaN',
  ],
  [
    'a rate beyond what can be added up',
    `${BASE.replace('to: b', 'to: b, rate: 1e308')}`,
    'calls[0].rate  the number 1e+308 is out of range; allowed: at most 1000000000',
  ],
  ['an endless rate', `${BASE.replace('to: b', 'to: b, rate: .inf')}`, 'expected a finite number'],
  [
    'a negative cost',
    `${BASE}policies:\n- { name: p, kind: RateLimit, to: b, cost: { sender: { cpu_us: -3 } } }`,
    'g.yaml:5:56  policies[0].cost.sender.cpu_us  -3 is out of range',
  ],
  [
    'a cost that is no number',
    `${BASE}policies:\n- { name: p, kind: RateLimit, to: b, cost: { sender: { cpu_us: .nan } } }`,
    'expected a number, got the number NaN',
  ],
  ['an unknown kind', `${BASE}policies:\n- { name: p, kind: RateLimits, to: b }`, 'did you mean RateLimit?'],
  [
    'an unknown policy in an order',
    `${BASE}policies:\n- { name: p, kind: RateLimit, to: b, after: q }`,
    'g.yaml:5:38  policies[0].after  there is no policy "q"',
  ],
  [
    'a circle in the order',
    `${BASE}policies:\n- { name: p, kind: RateLimit, after: q }\n- { name: q, kind: RateLimit, after: p }`,
    'policies wait for each other: p after q after p',
  ],
  [
    'a name that is there twice',
    `${BASE}policies:\n- { name: p, kind: RateLimit }\n- { name: p, kind: Tracing }`,
    'the policy "p" is there twice',
  ],
  [
    'a side that the kind does not have',
    `${BASE}policies:\n- { name: p, kind: RetryPolicy, side: receiver }`,
    "contradicts what the policy is: it is for the sender's side only; allowed: sender",
  ],
  ['an unknown node', 'services:\n  web: { node: n2 }\nnodes: { n1: {} }', 'there is no node "n2"'],
  ['a service that calls itself', 'services: { a: {} }\ncalls: [{ from: a, to: a }]', '"a" calls itself'],
  [
    'a spec that its kind refuses',
    `${BASE}policies:\n- { name: p, kind: RetryPolicy, spec: { attempt: 1 } }`,
    'policies[0].spec.attempt  unknown field',
  ],
  ['an endless name', `services: { ${'a'.repeat(100_000)}: {} }`, '"aaaa'],
  [
    'a node that a terminal would obey',
    'services: { a: {} }\nnodes: { "\\e[31mred": {} }',
    '"\\u001b[31mred" is no name',
  ],
  ['a port that there is not', 'services: { a: { app: "127.0.0.1:99999" } }', 'is not an address'],
  ['no services', 'services: {}', 'the call graph is empty'],
  ['nothing at all', '', 'the file is empty'],
  ['a list', '- a', 'expected a map, got a list'],
  ['half a file', 'services: { a: {}, b: {', 'g.yaml:1:'],
])('%s is an error with its place', (_, text, message) => {
  expect(problemOf(text)).toContain(message);
});

test('files that contradict each other are told, not merged', () => {
  const log = 'apiVersion: outrigger.dev/v1\nkind: AccessLog\nmetadata: { name: p }\nspec: { to: stdout }\n';
  const told = (...texts: string[]): string => {
    try {
      parseCallGraph(texts.map((text, at) => ({ file: `${at}.yaml`, text })));
    } catch (error) {
      return (error as Error).message;
    }
    return 'no problem';
  };
  const cluster = (value: string): string => `cluster: { network_policies: ${value} }\n`;
  expect(told(BASE, cluster('enforced'))).toBe('no problem');
  expect(told(cluster('absent') + BASE, cluster('enforced'))).toContain(
    '1.yaml:1:1  cluster.network_policies is enforced here and absent in another file',
  );
  expect(told(BASE, log)).toBe('no problem');
  expect(told(`${BASE}policies: [{ name: p, kind: RateLimit }]`, log)).toContain('there is another policy "p"');
});

test('a million calls are refused before they are read', { timeout: 120_000 }, () => {
  const text = `services: { a: {}, b: {} }\ncalls:\n${'- {from: a, to: b}\n'.repeat(1_000_000)}`;
  expect(problemOf(text)).toBe('g.yaml:2:1  calls  has 1000000 entries; allowed: at most 200000');
});

test.each([
  ['JSON', `{"services":{"a":{},"b":{}},"calls":[${'{"from":"a","to":"b"},'.repeat(999_999)}{"from":"a","to":"b"}]}`],
  ['YAML with anchors', `services: { a: &x {}, b: *x }\ncalls:\n${'- {from: a, to: b}\n'.repeat(1_000_000)}`],
  ['a star', `services:\n${every(2000, (at) => `  s${at}: {}\n`)}calls: [{ from: "*", to: "*" }]`],
  [
    'policies that are everywhere',
    `services:\n${every(2000, (at) => `  s${at}: {}\n`)}policies:\n${every(2000, (at) => `- { name: p${at}, kind: AccessLog }\n`)}`,
  ],
  [
    'policies at one service',
    `${BASE}policies:\n${every(20_000, (at) => `- { name: p${at}, kind: AccessLog, to: b }\n`)}`,
  ],
])('too much for memory is refused in a moment: %s', { timeout: 60_000 }, (_, text) => {
  const problem = problemOf(text);
  expect(problem).toContain('allowed: ');
  expect(problem.length).toBeLessThan(300);
});

test('policies of single callers count where these call, not everywhere', () => {
  const services = every(2000, (at) => `  s${at}: {}\n`);
  const calls = every(1999, (at) => `- { from: s${at}, to: s${at + 1} }\n`);
  const policies = every(1000, (at) => `- { name: p${at}, kind: RetryPolicy, from: s${at} }\n`);
  expect(problemOf(`services:\n${services}calls:\n${calls}policies:\n${policies}`)).toBe('no problem');
});

test('an order as long as the list of policies is followed', () => {
  const names = every(2000, (at) => `- { name: p${at}, kind: AccessLog, to: b, after: p${at + 1} }\n`);
  expect(problemOf(`${BASE}policies:\n${names}- { name: p2000, kind: AccessLog, to: b }`)).toBe('no problem');
  expect(problemOf(`${BASE}policies:\n${names}- { name: p2000, kind: AccessLog, to: b, after: p0 }`)).toContain(
    'policies wait for each other: p0 after p1 after',
  );
});

test('a policy for * is about everybody, as one that names nobody', async () => {
  const text = `services: { a: {}, b: {}, out: { external: true } }
calls: [{ from: out, to: a }, { from: a, to: b }]
policies: [{ name: guard, kind: AuthorizationPolicy }]`;
  const starred = text.replace('kind:', 'to: "*", from: "*", kind:');
  const [plain, same] = [text, starred].map((one) => planProblem(parseCallGraph([{ file: 'g.yaml', text: one }])));
  const told = ({ placements }: ReturnType<typeof planProblem>) =>
    placements.map(({ policy, receiver, refusal }) => [policy.name, receiver, refusal]);
  expect(told(same!)).toEqual(told(plain!));
  expect(await conflictsOf(starred)).toEqual([]);
});

function every(count: number, line: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => line(at)).join('');
}

const PROFILE =
  'source: mine\npass: { cpu_us: 20 }\nmemory_mib: 50\npolicies:\n  RateLimit: { sender: { cpu_us: 5 } }\n';

test.each([
  ['a truncated profile', PROFILE.slice(0, 40), 'c.yaml:3:1'],
  ['a profile without policies', PROFILE.slice(0, PROFILE.indexOf('policies')), 'policies  is required'],
  ['a negative cost', PROFILE.replace('5 }', '-5 }'), 'policies.RateLimit.sender.cpu_us  -5 is out of range'],
  ['a cost that is no number', PROFILE.replace('20', '.nan'), 'pass.cpu_us  expected a number, got the number NaN'],
  ['an endless cost', PROFILE.replace('50', '.inf'), 'memory_mib  expected a finite number'],
  [
    'an unknown kind',
    PROFILE.replace('RateLimit', 'RateLimits'),
    'there is no kind "RateLimits"; did you mean RateLimit?',
  ],
  ['a text', 'hello', 'expected a cost profile'],
])('%s is an error', (_, text, message) => {
  expect(() => parseCostProfile('c.yaml', text)).toThrow(message);
});

async function conflictsOf(
  text: string,
  survive = false,
  profile = defaultProfile(),
  timeLimitMs = 30_000,
): Promise<readonly (readonly string[])[]> {
  const problem = planProblem(parseCallGraph([{ file: 'g.yaml', text }]), { survive });
  try {
    await optimize(problem, profile, { objective: 'cpu', timeLimitMs });
  } catch (error) {
    if (error instanceof InfeasibleError) return error.conflicts;
    throw error;
  }
  return [];
}

test('what cannot be is told by the constraints that clash, and no others', async () => {
  const text = `services: { a: { sidecar: false }, b: { sidecar: false }, c: {} }
calls: [{ from: a, to: b }, { from: c, to: b }]
policies:
- { name: guard, kind: AuthorizationPolicy, to: b }
- { name: log, kind: AccessLog, to: c }`;
  expect(await conflictsOf(text)).toEqual([
    [
      '"guard" at b cannot be at its senders: its caller a takes no sidecar (g.yaml:4)',
      '"guard" at b cannot be at the receiver: b takes no sidecar (g.yaml:4)',
    ],
  ]);
});

test('an order that no two sides keep is told with both policies', async () => {
  const text = `services: { a: {}, b: {} }
calls: [{ from: a, to: b }]
policies:
- { name: first, kind: Custom, to: b, semantics: { sides: receiver } }
- { name: second, kind: RetryPolicy, from: a, after: first }`;
  const [conflict] = await conflictsOf(text);
  expect(conflict).toHaveLength(3);
  expect(conflict).toContain('"second" is to come after "first"');
});

test('a node that cannot carry the sidecars is told by its capacity', async () => {
  const text = `nodes: { n1: { memory: 60MiB } }
services: { a: { node: n1, external: true }, b: { node: n1 }, c: { node: n1 }, d: {} }
calls: [{ from: a, to: [b, c] }, { from: b, to: d }]
policies:
- { name: limit, kind: RateLimit, to: [b, c] }
- { name: other, kind: RateLimit, to: d }`;
  const [conflict = []] = await conflictsOf(text);
  expect(conflict[0]).toBe('node n1 has 60 MiB for sidecars');
  expect(conflict).toContain('"limit" at b needs an ADM at b'.replace('needs', 'at the receiver needs'));
  expect(conflict.join()).not.toContain('other');
});

test('a clash of a node’s CPU names what it cannot carry, and nothing that has no part in it', async () => {
  const text = `nodes: { n1: { cpu: 0.0001 } }
services: { a: {}, b: {}, c: { node: n1 } }
calls: [{ from: [a, c], to: b, rate: 1000 }]
policies:
- { name: tries, kind: RetryPolicy, from: [a, c] }
- { name: one, kind: AuthorizationPolicy, to: b }
- { name: other, kind: AuthorizationPolicy, to: b }`;
  expect(await conflictsOf(text)).toEqual([
    [
      'node n1 has 0.0001 cores for sidecars',
      '"tries" at b cannot be at the receiver: it is for the sender\'s side only (g.yaml:5)',
    ],
  ]);
});

test('where many capacities clash together, the search for those that matter ends with the time limit', {
  timeout: 120_000,
}, async () => {
  const names = Array.from({ length: 400 }, (_, at) => `s${at}`);
  const callers = (at: number): string =>
    names.filter((_, other) => other !== at && (other * 7 + at) % 37 === 0).join(', ');
  const text = `nodes:
${names.map((name) => `  n-${name}: { cpu: 0.0005, memory: 2GiB }\n`).join('')}services:
${names.map((name) => `  ${name}: { node: n-${name} }\n`).join('')}cluster: { network_policies: enforced }
calls:
${names.map((name, at) => `- { from: [${callers(at)}], to: ${name}, rate: 20 }\n`).join('')}policies:
${names.map((name) => `- { name: rules-${name}, kind: AuthorizationPolicy, to: ${name}, cost: { receiver: { cpu_us: 40 } } }\n`).join('')}`;
  const startedAt = performance.now();
  const [conflict = []] = await conflictsOf(text, false, defaultProfile(), 3000);
  // One check at most is under way when the time ends; without the limit it would be fifteen seconds more.
  expect(performance.now() - startedAt).toBeLessThan(12_000);
  expect(conflict.some((one) => /^node n-s\d+ has 0\.0005 cores/.test(one))).toBe(true);
  expect(conflict.filter((one) => !one.startsWith('node ')).length).toBeLessThanOrEqual(20);
});

test('a node that is named twice is one node', async () => {
  const text = `nodes: { n1: { memory: 60MiB } }
services: { out: { external: true }, b: { node: [n1, n1], replicas: 2 } }
calls: [{ from: out, to: b }]
policies: [{ name: limit, kind: RateLimit, to: b }]`;
  const [conflict = []] = await conflictsOf(text);
  expect(conflict[0]).toBe('node n1 has 60 MiB for sidecars');
});

test('what each policy takes of a sidecar’s memory is counted, and each node has room for the replicas that it may get', async () => {
  const profile = parseCostProfile(
    'c.yaml',
    PROFILE.replace('memory_mib: 50', 'memory_mib: 50\nmemory_per_policy_mib: 30'),
  );
  const text = `nodes: { n1: { memory: 100MiB }, n2: {} }
services: { out: { external: true }, b: { node: n1 } }
calls: [{ from: out, to: b }]
policies: [{ name: one, kind: RateLimit, to: b }, { name: other, kind: AccessLog, to: b }]`;
  expect(await conflictsOf(text.replace(', { name: other, kind: AccessLog, to: b }', ''), false, profile)).toEqual([]);
  const [conflict = []] = await conflictsOf(text, false, profile);
  expect(conflict[0]).toBe('node n1 has 100 MiB for sidecars');
  const own = text.replace('{ node: n1 }', '{ sidecar: { memory: 100MiB } }');
  expect((await conflictsOf(own, false, profile))[0]?.[0]).toBe(
    'a sidecar of b may have 100 MiB, and one takes 50 MiB and 30 MiB for each policy',
  );
  const spread = text.replace('{ node: n1 }', '{ node: [n1, n2], replicas: 3 }');
  expect(await conflictsOf(spread.replace('100MiB', '110MiB'))).toEqual([]);
  expect((await conflictsOf(spread.replace('100MiB', '90MiB')))[0]?.[0]).toBe('node n1 has 90 MiB for sidecars');
});

test('a policy that nobody could take over is told where losses are to be survived', async () => {
  const text = `services: { out: { external: true }, web: {} }
calls: [{ from: out, to: web }]
policies: [{ name: guard, kind: RequestAuthentication, to: web }]`;
  expect(await conflictsOf(text)).toEqual([]);
  const [conflict] = await conflictsOf(text, true);
  expect(conflict?.join()).toContain('would be lost with the one replica of web');
  expect(await conflictsOf(text.replace('web: {}', 'web: { replicas: 2 }'), true)).toEqual([]);
});
