import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { parsePolicies, readPolicies, selects, titleOf } from '../../policies/file.ts';
import { POLICY_KINDS } from '../../policies/index.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { EXAMPLES } from './examples.ts';

const RETRIES = `apiVersion: outrigger.dev/v1
kind: RetryPolicy
metadata: { name: reviews, namespace: shop }
spec:
  attempts: 3
`;

/** Every problem of a file, as one line each. */
function problems(text: string): string[] {
  try {
    parsePolicies('p.yaml', text);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
}

describe('policy files', () => {
  it('hold several documents, empty ones among them', () => {
    const text = `# a file\n---\n${RETRIES}---\n# nothing\n---\n${RETRIES.replace('reviews', 'ratings')}...\n`;
    const policies = parsePolicies('p.yaml', text);
    expect(policies.map((one) => [titleOf(one), one.line])).toEqual([
      ['RetryPolicy shop/reviews', 3],
      ['RetryPolicy shop/ratings', 11],
    ]);
  });

  it('may be JSON', () => {
    const json = { apiVersion: 'outrigger.dev/v1', kind: 'RetryPolicy', metadata: { name: 'a' }, spec: {} };
    expect(parsePolicies('p.json', JSON.stringify(json)).map(titleOf)).toEqual(['RetryPolicy default/a']);
  });

  it('take fields in either case', () => {
    const made = (field: string) => parsePolicies('p.yaml', RETRIES.replace('attempts: 3', `${field}: 1s`))[0]!.spec;
    expect(made('perTryTimeout')).toEqual(made('per_try_timeout'));
  });

  it('tell a problem with the line of the whole file, its path and what was meant', () => {
    expect(problems(`${RETRIES}---\n${RETRIES.replace('attempts', 'attemps').replace('reviews', 'ratings')}`)).toEqual([
      'p.yaml:11:3  spec.attemps  unknown field; allowed: attempts, on, status_codes, per_try_timeout, back_off, budget, destinations; did you mean attempts?',
    ]);
  });

  it('tell all problems of all documents at once', () => {
    const found = problems(`${RETRIES.replace('3', '0')}---\nkind: RetryPolicy\nspec: 7\n---\n- a\n`);
    expect(found.map((line) => line.replace(/; allowed.*/, ''))).toEqual([
      'p.yaml:5:3  spec.attempts  0 is out of range',
      'p.yaml:7:1  apiVersion  is required',
      'p.yaml:7:1  metadata  is required',
      'p.yaml:8:1  spec  expected a map, got the number 7',
      'p.yaml:10:1  expected a policy, got a list',
    ]);
  });

  it('lead from the kinds of Istio to those that are there', () => {
    expect(problems(RETRIES.replace('RetryPolicy', 'VirtualService'))[0]).toContain('did you mean RetryPolicy?');
    expect(problems(RETRIES.replace('RetryPolicy', 'RetryPolice'))[0]).toContain('did you mean RetryPolicy?');
  });

  it('know a misspelt selector', () => {
    expect(problems(RETRIES.replace('attempts: 3', 'selectr: {}'))[0]).toContain('did you mean selector?');
  });

  it('name a policy once', () => {
    expect(problems(`${RETRIES}---\n${RETRIES}`)).toEqual([
      'p.yaml:7:1  RetryPolicy shop/reviews is there already, in line 1',
    ]);
  });

  it('are not empty', () => {
    expect(problems('# nothing\n')[0]).toContain('the file has no policy');
  });
});

test('a selector holds for workloads that have all of its labels', () => {
  const [policy] = parsePolicies(
    'p.yaml',
    RETRIES.replace('spec:', 'spec:\n  selector: { matchLabels: { app: shop, tier: web } }'),
  );
  expect(selects(policy!, { app: 'shop', tier: 'web', version: 'v1' })).toBe(true);
  expect(selects(policy!, { app: 'shop' })).toBe(false);
  expect(selects(parsePolicies('p.yaml', RETRIES)[0]!, {})).toBe(true);
});

test('every kind has an example', () => {
  const kinds = new Set(EXAMPLES.flatMap((file) => readPolicies(file).map(({ kind }) => kind)));
  expect(new Set(POLICY_KINDS)).toEqual(kinds);
});

test('docs/policies.md shows every example', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/policies.md'), 'utf8');
  const missing = EXAMPLES.filter((file) => !page.includes(readFileSync(file, 'utf8').trim()));
  expect(missing).toEqual([]);
});

test('docs/policies.md has a row and a section for each kind', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/policies.md'), 'utf8');
  for (const { kind, semantics } of POLICY_KINDS) {
    expect(page).toContain(`| ${semantics.paper} | ${kind} | ${semantics.input.replace(' and L7', '/L7')} |`);
    expect(page).toContain(`\n## ${kind}\n`);
  }
});
