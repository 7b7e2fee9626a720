import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { costProfileOf, costProfileYaml } from '../../../policies/planner/characterized-profile.ts';
import { parseCostProfile } from '../../../policies/planner/cost-profile.ts';
import { additiveModel, predict } from '../../../src/lab/characterize/additive-model.ts';
import type { Characterization } from '../../../src/lab/characterize/characterization.ts';
import {
  characterizationMarkdown,
  characterizationTables,
  characterizationText,
} from '../../../src/lab/characterize/characterization-text.ts';
import { anyCharacterization } from './arbitrary.ts';
import { configuration, peerOf } from './characterization.ts';

/** Once as it is made, once as it comes out of a file. */
function eachForm(check: (c: Characterization) => void, numRuns: number): void {
  fc.assert(
    fc.property(anyCharacterization, (c) => {
      check(c);
      check(JSON.parse(JSON.stringify(c)));
    }),
    { numRuns },
  );
}

test('every row of the model has finite figures or a reason', () => {
  eachForm((c) => {
    const { costs, mixes, sizes } = additiveModel(c);
    const silent = [
      ...costs.filter(({ why, micros }) => why === undefined && !Number.isFinite(micros?.median)),
      ...mixes.filter(({ why, errorPercent }) => why === undefined && !Number.isFinite(errorPercent?.median)),
      ...sizes.filter(({ why, microsPerKiB }) => why === undefined && !Number.isFinite(microsPerKiB)),
    ];
    expect(silent).toEqual([]);
    const names = c.configurations.map(({ name }) => name);
    const asked = predict(c, 'outrigger', names);
    expect(asked.why !== undefined || Number.isFinite(asked.predicted?.median)).toBe(true);
  }, 100);
});

test('tables are rectangles without a number that nobody measured', () => {
  eachForm((c) => {
    const wrong: string[] = [];
    for (const { columns, rows } of characterizationTables(c)) {
      for (const row of rows) {
        if (row.length !== columns.length) wrong.push(`${row.length} cells of ${columns.length}`);
        // The first and the last may hold words of the input.
        wrong.push(...row.slice(2, -1).filter((cell) => /NaN|undefined|Infinity|null/.test(String(cell))));
      }
    }
    expect(wrong).toEqual([]);
    expect(characterizationText(c)).toContain('Configurations at saturation');
    expect(characterizationMarkdown(c)).toContain('## Configurations at saturation');
  }, 60);
});

test('a cost profile is one that the planner reads, or there is none', () => {
  let written = 0;
  const good = configuration('http', [peerOf('outrigger', [30, 31, 32])]);
  eachForm((c) => {
    const others = c.configurations.filter(({ name }) => name !== 'http');
    for (const configurations of [c.configurations, [good, ...others]]) {
      let text: string;
      try {
        text = costProfileYaml(costProfileOf({ ...c, configurations }));
      } catch (error) {
        expect((error as Error).message).toMatch(/^no cost profile: /);
        continue;
      }
      const { pass, policies } = parseCostProfile('costs.yaml', text);
      const costs = Object.values(policies).map(({ receiver }) => receiver!.cpuMicros);
      expect(Math.min(pass.cpuMicros, ...costs)).toBeGreaterThanOrEqual(0);
      written++;
    }
  }, 100);
  expect(written).toBeGreaterThanOrEqual(200);
});
