import { expect, test } from 'vitest';
import { isDnsSubdomain } from '../../../policies/kubernetes-names.ts';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { networkPolicy } from '../../../policies/planner/network-policy.ts';

function problem(text: string): string {
  try {
    parseCallGraph([{ file: 'g.yaml', text }]);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

test('network policies have names that Kubernetes takes, and no two services share one', () => {
  const long = 'a'.repeat(80);
  const services = ['web', 'Web', 'WEB', 'we_b', 'we-b', 'we.b', 'we..b', 'we.-b', long, long.toUpperCase()];
  services.push(`${long}_a`, `${long}-a`, 'b'.repeat(200));
  const lines = services.map((name) => `  "${name}": { labels: { app: x } }`);
  const graph = parseCallGraph([{ file: 'g.yaml', text: `services:\n${lines.join('\n')}\n` }]);
  const nameOf = (receiver: number): string => networkPolicy(graph, { receiver, callers: [] }).metadata.name;
  const names = services.map((_, receiver) => nameOf(receiver));
  expect(names.filter((name) => !isDnsSubdomain(name))).toEqual([]);
  expect(new Set(names).size).toBe(services.length);
  expect(names[0]).toBe('outrigger-web');
  expect(names[1]).toMatch(/^outrigger-web-[0-9a-f]{32}$/);
  // Who takes the name that another one became does not get it.
  const thief = names[1]!.replace('outrigger-', '');
  const both = parseCallGraph([{ file: 'g.yaml', text: `services: { Web: {}, ${thief}: {} }` }]);
  const [first, second] = [0, 1].map((receiver) => networkPolicy(both, { receiver, callers: [] }).metadata.name);
  expect(first).toBe(names[1]);
  expect(second).not.toBe(first);
});

test.each([
  ['services:\n  a: { namespace: Team_A }', /^g\.yaml:2:8 {2}services\.a\.namespace .*; did you mean team-a\?$/],
  ['services:\n  a: { labels: { app: "a b" } }', /^g\.yaml:2:18 {2}services\.a\.labels\.app .*; did you mean a-b\?$/],
  ['services:\n  a: { labels: { "a b": x } }', /^g\.yaml:2:18 {2}services\.a\.labels.*a b.*; did you mean a-b\?$/],
  [
    `cluster: { network_policies: enforced }\nservices:\n  ${'x'.repeat(64)}: {}`,
    /^g\.yaml:3:3 .*too long for the label app.*64 characters; allowed: at most 63, or labels as its pods carry them$/,
  ],
  [`cluster: { network_policies: enforced }\nservices:\n  ${'x'.repeat(64)}: { labels: { app: x } }`, /^$/],
  [`cluster: { network_policies: enforced }\nservices:\n  ${'x'.repeat(64)}: { external: true }`, /^$/],
  [`services:\n  ${'x'.repeat(64)}: {}`, /^$/],
])('%s', (text, expected) => {
  expect(problem(text)).toMatch(expected);
});
