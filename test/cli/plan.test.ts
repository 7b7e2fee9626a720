import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { searchTimeMs } from '../../src/cli/plan-run.ts';
import { loadConfig } from '../../src/config/load.ts';
import { runCli } from './run-cli.ts';

const SHOP = 'examples/call-graphs/shop.yaml';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'plan-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

function written(text: string): string {
  const file = join(folder(), 'graph.yaml');
  writeFileSync(file, text);
  return file;
}

test('a plan is told with its proof and its reasons, and nothing is drawn where there is no terminal', async () => {
  const { code, stdout, stderr } = await runCli(['plan', SHOP]);
  expect(code).toBe(0);
  expect(stderr).toBe('');
  expect(stdout).toContain('3 ADMs (no plan has fewer; the least CPU among those of this size');
  expect(stdout).toContain(
    '"tokens" is at web, as it cannot be at the senders\' side: browser calls from outside of the cluster.',
  );
  expect(stdout).toMatch(/full mesh +6/);
});

test('--output writes what outrigger run accepts, pictures, and a plan for the next time', {
  timeout: 60_000,
}, async () => {
  const out = folder();
  expect((await runCli(['plan', SHOP, '--output', out])).code).toBe(0);
  const sidecars = readdirSync(join(out, 'sidecars'));
  expect(sidecars).toEqual(['cart.yaml', 'db.yaml', 'web.yaml']);
  for (const file of sidecars) loadConfig(join(out, 'sidecars', file), { registry: builtinRegistry() });
  expect(readFileSync(join(out, 'graph.svg'), 'utf8')).toMatch(
    /^<svg [\s\S]*prefers-color-scheme: dark[\s\S]*<\/svg>\n$/,
  );
  expect(readFileSync(join(out, 'graph.html'), 'utf8')).not.toMatch(/(src|href)=/);
  expect(readFileSync(join(out, 'network-policies.yaml'), 'utf8')).toContain('name: outrigger-payments');
  expect(existsSync(join(out, 'limits/db-limit.yaml'))).toBe(true);
  const again = await runCli(['plan', SHOP, '--previous', join(out, 'plan.json'), '--json']);
  expect((JSON.parse(again.stdout) as { changes: string[] }).changes).toEqual([]);
});

test('a folder with sidecars that no plan has made is left alone', async () => {
  const out = folder();
  mkdirSync(join(out, 'sidecars'));
  writeFileSync(join(out, 'sidecars/mine.yaml'), 'mine');
  const { code, stderr } = await runCli(['plan', SHOP, '--output', out]);
  expect([code, stderr]).toEqual([
    2,
    `outrigger: ${out} has sidecars and no plan.json: it is no folder of plans\n  name a new folder with --output\n`,
  ]);
  expect(readdirSync(out, { recursive: true })).toEqual(['sidecars', 'sidecars/mine.yaml']);
});

test.each([
  [[SHOP, './examples/call-graphs/shop.yaml'], 'is given twice; allowed: each file once'],
  [[SHOP, '--slack', '1'], '--slack: moves are counted against an earlier plan'],
  [['examples/call-graphs'], 'examples/call-graphs:1:1  it is a folder'],
  [[SHOP, '--output', ''], 'the folder to write to has no name'],
])('%j is a mistake that is told', async (args, text) => {
  const { code, stderr } = await runCli(['plan', ...args]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
});

test('where no policy runs, nothing is said about why', async () => {
  const { code, stdout } = await runCli(['plan', written('services: { a: {} }\n')]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^0 ADMs \(.*\)\n\n +ADMs/);
});

test('the time to search leaves time for what is done before and after it', () => {
  // 45 s; the process has run for one.
  expect(searchTimeMs(45_000, 1000, false)).toBe(43_000);
  expect(searchTimeMs(45_000, 1000, true)).toBe(41_000);
  // Most of a short limit is not kept for the rest, and something is always looked for.
  expect(searchTimeMs(4000, 1000, true)).toBe(1000);
  expect(searchTimeMs(1000, 2000, true)).toBe(200);
});

const ROW = `cluster: { network_policies: enforced }
services:
  a: { app: "127.0.0.1:9001", listen: "127.0.0.1:15100" }
  b: { app: "127.0.0.1:9002", listen: "127.0.0.1:15100" }
  c: { app: "127.0.0.1:9003", listen: "127.0.0.1:15100" }
calls:
  - { from: a, to: [b, c] }
  - { from: c, to: a }
policies: [{ name: log, kind: AccessLog, spec: { to: stdout } }]
`;

test('calls without an address of their own get one that nothing else of the sidecar has', async () => {
  const out = folder();
  const { code, stderr } = await runCli(['plan', written(ROW), '--output', out]);
  expect([code, stderr]).toEqual([0, '']);
  expect(readFileSync(join(out, 'addresses.yaml'), 'utf8')).toContain('127.0.0.1:15101');
  expect(readFileSync(join(out, 'addresses.yaml'), 'utf8')).not.toContain(
    'from: a\n    to: b\n    address: 127.0.0.1:15100',
  );
});

test('where no sidecar files can be made the plan is told, and those of an earlier one are gone', async () => {
  const out = folder();
  expect((await runCli(['plan', written(ROW), '--output', out])).code).toBe(0);
  const same = ROW.replace('to: [b, c] }', 'to: [b, c], via: 15200 }');
  const { code, stdout, stderr } = await runCli(['plan', written(same), '--output', out]);
  expect(code).toBe(0);
  expect(stdout).toContain('1 ADM (');
  expect(stderr).toBe(
    'outrigger: no sidecar files: the sidecar of a cannot be made: to-b and to-c both listen at 127.0.0.1:15200\n',
  );
  expect(readdirSync(out).sort()).toEqual([
    'graph.html',
    'graph.svg',
    'network-policies.yaml',
    'plan.json',
    'plan.yaml',
  ]);
});

test('texts from files are no markup in the pictures', async () => {
  const costs = join(folder(), '<img src=x>.yaml');
  writeFileSync(costs, 'source: "<script>alert(1)</script>"\npass: { cpu_us: 20 }\nmemory_mib: 40\npolicies: {}\n');
  const file = written(`services: { a: {}, b: {} }
calls: [{ from: a, to: b }]
policies: [{ name: p, kind: Custom, to: b, semantics: { state: none } }]
`);
  const out = folder();
  const { stderr } = await runCli(['plan', file, '--costs', costs, '--output', out]);
  expect(stderr).toContain('no sidecar files: services.b.listen is needed');
  for (const name of ['graph.svg', 'graph.html'])
    expect(readFileSync(join(out, name), 'utf8')).not.toMatch(/<script|<img/);
  expect(readFileSync(join(out, 'graph.html'), 'utf8')).toContain('&lt;script&gt;alert(1)');
});

test('a call that a guard is not about, and that passes its ADM, is not drawn as one that passes none', async () => {
  const file = written(`services: { a: {}, b: {}, c: {} }
calls: [{ from: [a, c], to: b }, { from: a, to: c }]
policies: [{ name: guard, kind: Custom, from: a, to: b, semantics: { protects: security } }]
`);
  const out = folder();
  await runCli(['plan', file, '--output', out]);
  const svg = readFileSync(join(out, 'graph.svg'), 'utf8');
  expect(svg).toMatch(/<title>c → b, 1\/s<\/title><path class="call" /);
  expect(svg).toMatch(/<title>a → c, 1\/s<\/title><path class="call skips" /);
});

test.each([
  ['an unknown service', 'services: { a: {} }\ncalls: [{ from: a, to: bb }]', 'there is no service "bb"'],
  [
    'constraints that clash',
    'services: { a: { external: true }, b: { sidecar: false } }\ncalls: [{ from: a, to: b }]\npolicies: [{ name: p, kind: RequestAuthentication, to: b }]',
    'no plan is possible: these contradict each other\n  - "p" at b cannot be at its senders',
  ],
  ['an empty graph', 'services: {}', 'the call graph is empty'],
])('%s ends with exit code 2', async (_, text, message) => {
  const { code, stdout, stderr } = await runCli(['plan', written(text)]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
});

test.each([
  [['--survive', '2'], 'Only the loss of 1 ADM'],
  [['--time-limit', '0'], 'a number of seconds'],
  [['--objective', 'speed'], 'cpu, balance, latency'],
])('%j is refused', async (options, message) => {
  const { code, stderr } = await runCli(['plan', SHOP, ...options]);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});
