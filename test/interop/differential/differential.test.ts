import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { scenarios } from './cases/index.ts';
import {
  differencesOf,
  forwardsOwnAddress,
  NAMED_FAULTS,
  namesTheFault,
  OWN_ADDRESS,
  REFUSED_HEADS,
  tellsMoreOfRefused,
} from './harness/observation.ts';
import { type Results, runScenarios } from './harness/run.ts';

const envoy = findEnvoy();
const DOCUMENT = join(import.meta.dirname, '..', '..', '..', 'docs', 'differences-from-envoy.md');

describe.skipIf(envoy === undefined)(
  `the same bytes to Envoy and to Outrigger${envoy === undefined ? ` (${NO_ENVOY})` : ''}`,
  () => {
    let results: Results;
    beforeAll(async () => {
      results = await runScenarios(envoy as string, scenarios);
    }, 120_000);

    for (const scenario of scenarios) {
      describe(scenario.name, () => {
        it.each(scenario.cases)('$name', (exchange) => {
          const { envoy, outrigger } = results.of(scenario, exchange);
          const found = differencesOf(envoy, outrigger);
          const meant = Object.values(exchange.differs ?? {}).flat();
          expect(Object.keys(found).sort(), JSON.stringify(found, null, 1)).toEqual([...meant].sort());
        });

        it.each(scenario.stats ?? [])('counts %s alike', (name) => {
          const { envoy, outrigger } = results.stat(scenario, name);
          expect(outrigger).toBe(envoy);
        });

        it.each(scenario.statsBelow ?? [])('counts %s* alike', (prefix) => {
          const { envoy, outrigger } = results.statsBelow(prefix);
          expect(outrigger).toEqual(envoy);
          expect(Object.keys(envoy)).not.toEqual([]);
        });
      });
    }

    it('differs in what no case names, as the document says', () => {
      const all = scenarios.flatMap((scenario) => scenario.cases.map((exchange) => results.of(scenario, exchange)));
      expect(all.some(({ envoy }) => forwardsOwnAddress(envoy))).toBe(true);
      expect(all.some(({ envoy, outrigger }) => tellsMoreOfRefused(envoy, outrigger))).toBe(true);
      expect(all.some(({ envoy, outrigger }) => namesTheFault(envoy, outrigger))).toBe(true);
    });
  },
);

describe('docs/differences-from-envoy.md', () => {
  const listed = [...readFileSync(DOCUMENT, 'utf8').matchAll(/^\| `([a-z0-9-]+)` \|/gm)].map((match) => match[1]);
  const used = new Set(scenarios.flatMap(({ cases }) => cases.flatMap(({ differs }) => Object.keys(differs ?? {}))));
  used.add(NAMED_FAULTS).add(OWN_ADDRESS).add(REFUSED_HEADS);

  it('lists every difference that the cases expect, and no other', () => {
    // Those of tokens are held to their own cases (test/interop/jwt).
    const ours = listed.filter((id) => id?.startsWith('jwt-') === false);
    expect([...ours].sort()).toEqual([...used].sort());
  });
});
