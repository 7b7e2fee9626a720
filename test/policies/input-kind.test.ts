import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { parsePolicies } from '../../policies/file.ts';
import { inputKind } from '../../policies/input-kind.ts';
import { parseCallGraph } from '../../policies/planner/call-graph-file.ts';
import { parseCostProfile } from '../../policies/planner/cost-profile.ts';
import { readPlan } from '../../policies/planner/previous-plan.ts';

const POLICY = {
  apiVersion: 'outrigger.dev/v1',
  kind: 'AccessLog',
  metadata: { name: 'log' },
  spec: { to: 'stdout' },
};
const FILES: Readonly<Record<string, object>> = {
  callGraph: { services: { a: {}, b: {} }, calls: [{ from: 'a', to: 'b' }] },
  policy: POLICY,
  costProfile: { source: 's', pass: { cpu_us: 1 }, memory_mib: 1, policies: {} },
  plan: { schema: 'outrigger.plan/1', adms: [], placements: [] },
  characterization: { schema: 'outrigger.characterization/1', configurations: [] },
  sidecar: { listen: '127.0.0.1:1', app: '127.0.0.1:2' },
  bootstrap: { static_resources: { listeners: [] } },
};

const SEEMS: Readonly<Record<string, string>> = {
  callGraph: 'a call graph',
  policy: 'a policy',
  costProfile: 'a cost profile',
  plan: 'a plan',
  characterization: 'a characterization',
  sidecar: 'a configuration of a proxy',
  bootstrap: 'a configuration of a proxy',
};

function planOf(text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'kind-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'f.json');
  writeFileSync(file, text);
  readPlan(file);
}

const READERS: Readonly<Record<string, (text: string) => void>> = {
  callGraph: (text) => void parseCallGraph([{ file: 'f.json', text }]),
  policy: (text) => void parsePolicies('f.json', text),
  costProfile: (text) => void parseCostProfile('f.json', text),
  plan: planOf,
};

const MIXED = Object.keys(READERS).flatMap((wanted) =>
  Object.keys(FILES).flatMap((given) => (given === wanted ? [] : [[SEEMS[given]!, SEEMS[wanted]!, given, wanted]])),
);

test.each(MIXED)('%s in place of %s is called by its name, in one problem', (seems, wants, given, wanted) => {
  // A policy beside no call graph is no mistake about what it is.
  const expected =
    given === 'policy' && wanted === 'callGraph'
      ? /has policies and no call graph/
      : new RegExp(`^[^\\n]*1:1 {2}seems to be ${seems}, and not ${wants}[^\\n]*; allowed: [^\\n]*$`);
  expect(() => READERS[wanted!]!(JSON.stringify(FILES[given!]))).toThrow(expected);
});

test.each(Object.keys(READERS))('what is wanted is read (%s)', (kind) => {
  expect(() => READERS[kind]!(JSON.stringify(FILES[kind]))).not.toThrow();
});

test('policies are taken beside a call graph in JSON too', () => {
  const texts = [FILES.callGraph, POLICY].map((data, at) => ({ file: `${at}.json`, text: JSON.stringify(data) }));
  expect(parseCallGraph(texts).policies.map(({ name }) => name)).toEqual(['log']);
});

test('the examples are what they are', () => {
  const kindOf = (file: string): unknown =>
    inputKind(parse(readFileSync(join(import.meta.dirname, '../..', file), 'utf8')));
  expect(kindOf('examples/call-graphs/shop.yaml')).toBe('callGraph');
  expect(kindOf('examples/policies/rate-limit.yaml')).toBe('policy');
  expect(kindOf('docs/characterization.json')).toBe('characterization');
  expect(kindOf('docs/benchmark.json')).toBe('benchmark');
});
