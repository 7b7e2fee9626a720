import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { builtinRegistry } from '../../filters/index.ts';
import { applyPolicies } from '../../policies/apply.ts';
import { explainPolicy } from '../../policies/explain.ts';
import { parsePolicies } from '../../policies/file.ts';
import { POLICY_KINDS } from '../../policies/index.ts';
import { MergeError } from '../../policies/merge.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { loadConfig } from '../../src/config/load.ts';
import { expandSidecar } from '../../src/config/sidecar/index.ts';
import { EXAMPLES } from './examples.ts';

const registry = builtinRegistry();
const BASE = expandSidecar({ listen: 8080, app: '127.0.0.1:3000', upstreams: { reviews: 3001 } });

/** Everything that can be done with a text: each step works, or says what is wrong with the text. */
function use(text: string): 'applied' | 'refused' {
  try {
    const policies = parsePolicies('p.yaml', text);
    for (const policy of policies) explainPolicy(policy);
    const { bootstrap } = applyPolicies(BASE, policies);
    loadConfig('merged.json', { registry, text: JSON.stringify(bootstrap) });
    return 'applied';
  } catch (error) {
    // A fault in what has been merged would be one that the policy's own schema has not seen.
    if (error instanceof MergeError || (error instanceof ConfigError && error.file === 'p.yaml')) return 'refused';
    throw error;
  }
}

test('texts of any kind are refused, not stumbled over', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void use(text)),
    { numRuns: 300 },
  );
  const head = fc.constantFrom(
    ...POLICY_KINDS.map(({ kind }) => ({ apiVersion: 'outrigger.dev/v1', kind, metadata: { name: 'a' } })),
  );
  const anything = fc.tuple(head, fc.object({ maxDepth: 4 })).map(([one, spec]) => JSON.stringify({ ...one, spec }));
  fc.assert(
    fc.property(anything, (text) => void use(text)),
    { numRuns: 300 },
  );
});

test('an example with one value changed is applied or refused', { timeout: 60_000 }, () => {
  const values = fc.constantFrom<unknown>(
    null,
    '',
    'x',
    '*',
    '**',
    '~(',
    0,
    -1,
    1.5,
    2 ** 53,
    true,
    [],
    {},
    [[]],
    '1s',
    'é\u0000',
  );
  const outcomes = { applied: 0, refused: 0 };
  const texts = EXAMPLES.map((file) => readFileSync(file, 'utf8'));
  fc.assert(
    fc.property(fc.constantFrom(...texts), fc.nat(), values, (text, place, value) => {
      outcomes[use(changed(text, place, value))]++;
    }),
    { numRuns: 250 },
  );
  expect(outcomes.applied).toBeGreaterThan(5);
  expect(outcomes.refused).toBeGreaterThan(30);
});

/** The first document of a text with one of its values in another's place. */
function changed(text: string, place: number, value: unknown): string {
  const data: unknown = parse(text.split(/^---$/m)[0]!);
  const places: [Record<string, unknown>, string][] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    for (const [key, inner] of Object.entries(part)) {
      places.push([part as Record<string, unknown>, key]);
      visit(inner);
    }
  };
  visit((data as { spec: unknown }).spec);
  const [parent, key] = places[place % places.length]!;
  parent[key] = value;
  return stringify(data);
}
