import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { defaultProfile } from '../../../policies/planner/default-profile.ts';
import { optimize } from '../../../policies/planner/optimize.ts';
import { type Plan, planOf } from '../../../policies/planner/plan.ts';
import { changesOf, previousOf, readPlan } from '../../../policies/planner/previous-plan.ts';
import { planProblem } from '../../../policies/planner/problem.ts';
import { planText } from '../../../src/cli/plan-text.ts';

/** Rings of four, of which either pair is a smallest set: costs alone decide. */
function rings(rates: readonly number[]): string {
  const lines = ['cluster: { undeclared_callers: none }', 'services:'];
  for (const ring of rates.keys()) for (const name of 'abcd') lines.push(`  ${name}${ring}: {}`);
  lines.push('calls:');
  for (const [ring, rate] of rates.entries())
    for (const [from, to] of ['ab', 'bc', 'cd', 'da'])
      lines.push(`  - { from: ${from}${ring}, to: ${to}${ring}, rate: ${from === 'a' ? rate : 10} }`);
  lines.push(
    'policies:',
    '  - { name: limit, kind: RateLimit, cost: { sender: { cpu_us: 20 }, receiver: { cpu_us: 10 } } }',
  );
  return lines.join('\n');
}

async function planned(text: string, before?: Plan, slack = 0): Promise<Plan> {
  const problem = planProblem(parseCallGraph([{ file: 'rings.yaml', text }]));
  const previous = before === undefined ? undefined : previousOf(problem, before);
  const optimum = await optimize(problem, defaultProfile(), { objective: 'cpu', timeLimitMs: 30_000, previous, slack });
  return planOf(problem, defaultProfile(), 'cpu', optimum);
}

function serviceNames({ adms }: Plan): string[] {
  return adms.map(({ service }) => service);
}

test('a change of rates alone moves nothing, although another plan would cost less', async () => {
  const before = await planned(rings([1000, 10]));
  const flipped = rings([0, 10]);
  const fresh = await planned(flipped);
  const kept = await planned(flipped, before);
  expect(changesOf(before, kept)).toEqual([]);
  expect(kept.proof.moves).toMatchObject({ value: 0, isOptimal: true });
  expect(kept.adms).toHaveLength(fresh.adms.length);
});

test('a new service moves what it must, and leaves the rest alone', async () => {
  const before = await planned(rings([10, 10, 10]));
  const [out] = ['a0', 'b0'].filter((name) => !serviceNames(before).includes(name));
  const text = rings([10, 10, 10])
    .replace('services:', 'services:\n  new: { external: true }')
    .replace('calls:', `calls:\n  - { from: new, to: ${out}, rate: 5 }`);
  const after = await planned(text, before);
  expect(serviceNames(after)).toContain(out);
  const rest = (plan: Plan): string[] => serviceNames(plan).filter((name) => !name.endsWith('0'));
  expect(rest(after)).toEqual(rest(before));
});

test('an ADM at a service that no policy was about before is a move like any other', async () => {
  // The smallest plans have one ADM at u or at w; w had calls and no policy.
  const text = `services: { u: {}, w: {} }
calls: [{ from: u, to: w, rate: 10 }]
policies: []`;
  const before = await planned(text.replace('policies: []', ''));
  const policy =
    'policies: [{ name: log, kind: AccessLog, to: w, cost: { sender: { cpu_us: 9 }, receiver: { cpu_us: 5 } } }]';
  const after = await planned(text.replace('policies: []', policy), before);
  expect(after.proof.moves).toMatchObject({ value: 1, isOptimal: true });
  expect(changesOf(before, after).filter((change) => change.includes('gets an ADM'))).toHaveLength(1);
});

test('with slack the smallest number is told beside that of the plan', async () => {
  const text = `services: { a: {}, b: {}, c: {} }
calls: [{ from: a, to: [b, c] }]
policies: [{ name: log, kind: AccessLog, side: receiver, to: [b, c] }]`;
  const before = await planned(text);
  const after = await planned(text.replace(', side: receiver', ''), before, 1);
  expect(changesOf(before, after)).toEqual([]);
  expect(planText(after)).toContain('2 ADMs (1 would do, with more moves; the least CPU among those with as few moves');
  expect(after.placements.map(({ why }) => why)).toEqual([
    '"log" is at b: the senders would need an ADM that nothing else needs, at a.',
    '"log" is at c: the senders would need an ADM that nothing else needs, at a.',
  ]);
});

test('with slack, ADMs may stay that the smallest plan would do without', async () => {
  const before = await planned(
    `${rings([10])}\n  - { name: pin, kind: RateLimit, to: [b0], from: [a0], side: receiver }`,
  );
  const pair = serviceNames(before);
  const other = ['a0', 'b0', 'c0', 'd0'].find((name) => !pair.includes(name))!;
  // A policy that only another service can have: two would do, three keep more where it is.
  const caller = { a0: 'd0', b0: 'a0', c0: 'b0', d0: 'c0' }[other];
  const text = `${rings([10])}\n  - { name: new, kind: RateLimit, to: [${other}], from: [${caller}], side: receiver }`;
  const tight = await planned(text, before);
  const loose = await planned(text, before, 1);
  expect(tight.adms).toHaveLength(2);
  expect(loose.adms).toHaveLength(3);
  expect(loose.proof.moves!.value).toBeLessThan(tight.proof.moves!.value);
});

test('a plan that is written is read again, and what is no plan is refused', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'plan-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'plan.json');
  const plan = await planned(rings([10]));
  writeFileSync(file, JSON.stringify(plan));
  expect(serviceNames(readPlan(file))).toEqual(serviceNames(plan));
  writeFileSync(file, '{ "schema": "outrigger.plan/1", "adms": [{}] }');
  expect(() => readPlan(file)).toThrow('adms  is no list of ADMs');
  writeFileSync(
    file,
    '{ "schema": "outrigger.plan/1", "adms": [], "placements": [{ "policy": "p", "receiver": "b", "side": "sender", "senders": 5 }] }',
  );
  expect(() => readPlan(file)).toThrow('placements  is no list of placements');
  writeFileSync(file, 'a: 1');
  expect(() => readPlan(file)).toThrow('schema  is not outrigger.plan/1');
  writeFileSync(file, '{ "schema": "outrigger.plan/1", "ad');
  expect(() => readPlan(file)).toThrow('plan.json:1:');
});
