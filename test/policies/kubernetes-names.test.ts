import { describe, expect, test } from 'vitest';
import { parsePolicies } from '../../policies/file.ts';
import { isDnsLabel, isDnsSubdomain, isLabelKey, isLabelValue } from '../../policies/kubernetes-names.ts';

const LONG = 'a'.repeat(63);

describe('the rules of Kubernetes', () => {
  test.each([
    ['namespaces', isDnsLabel, ['a', '0', 'a-b', LONG], ['', '-a', 'a-', 'a.b', 'a_b', 'A', `${LONG}a`, 'ä', 'a\n']],
    [
      'object names',
      isDnsSubdomain,
      ['a', 'a.b', 'a-b.c', `${LONG}.${LONG}`, 'a'.repeat(253)],
      ['', 'a..b', '.a', 'a.', 'a.-b', 'A', 'a_b', 'a'.repeat(254), 'a\n'],
    ],
    ['values of labels', isLabelValue, ['', 'a', 'A.b_c-1', LONG], ['-a', 'a.', 'a b', 'a/b', `${LONG}a`, 'ä', 'a\n']],
    [
      'keys of labels',
      isLabelKey,
      ['app', 'app.kubernetes.io/name', 'A_b', `${'a'.repeat(253)}/${LONG}`],
      ['', '/a', 'a/', 'a/b/c', 'A.b/c', '-a', `${LONG}a`, `${'a'.repeat(254)}/a`, 'a\n'],
    ],
  ] as const)('%s', (_name, test, good, bad) => {
    expect(good.filter((text) => !test(text))).toEqual([]);
    expect(bad.filter((text) => test(text))).toEqual([]);
  });
});

function problem(metadata: string, spec = 'spec: { to: stdout }'): string {
  try {
    parsePolicies('p.yaml', `apiVersion: outrigger.dev/v1\nkind: AccessLog\nmetadata: ${metadata}\n${spec}\n`);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

test.each([
  [
    '{ name: Shop_Log }',
    /^p\.yaml:3:13 {2}metadata\.name {2}the string "Shop_Log" is not valid here; .*; did you mean shop-log\?$/,
  ],
  ['{ name: a..b }', /metadata\.name .*; did you mean a-b\?$/],
  [`{ name: ${'a'.repeat(300)} }`, /a string of 300 characters is not valid here.*at most 253/],
  [
    '{ name: a, namespace: team.shop }',
    /^p\.yaml:3:22 {2}metadata\.namespace .*RFC 1123 label.*did you mean team-shop\?$/,
  ],
  ['{ name: a, labels: { app: "a b" } }', /^p\.yaml:3:\d+ {2}metadata\.labels\.app .*did you mean a-b\?$/],
  [
    '{ name: a, labels: { version: 1 } }',
    /metadata\.labels\.version {2}expected a string, got the number 1; did you mean "1"\?$/,
  ],
  ['{ name: a, labels: { "a b": x } }', /the key the string "a b" is not valid here; .*; did you mean a-b\?$/],
  ['{ name: a, annotations: { "-": any text } }', /the key the string "-" is not valid here; allowed: [^?]*$/],
  ['{ name: a, annotations: { note: "any text, however long …" } }', /^$/],
])('%s', (metadata, expected) => {
  expect(problem(metadata)).toMatch(expected);
});

test('a selector that no pod can fit is an error', () => {
  const spec = `spec: { to: stdout, selector: { matchLabels: { app: ${'x'.repeat(64)} } } }`;
  expect(problem('{ name: a }', spec)).toMatch(
    /^p\.yaml:4:\d+ {2}spec\.selector\.match_?[lL]abels\.app .*did you mean x{63}\?$/,
  );
});
