import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  byMeshInsight,
  byTable2,
  COMPONENTS,
  componentOf,
  MESH_INSIGHT,
  partTitle,
  TABLE2,
} from '../../src/observe/components.ts';

test('every row of both papers is some component, and every component a row', () => {
  expect(new Set(COMPONENTS.map(({ table2 }) => table2).filter((row) => row !== undefined))).toEqual(new Set(TABLE2));
  expect(new Set(COMPONENTS.map(({ meshInsight }) => meshInsight))).toEqual(new Set(MESH_INSIGHT));
  expect(TABLE2).toHaveLength(9);
  expect(MESH_INSIGHT).toHaveLength(7);
  expect(new Set(COMPONENTS.map(({ id }) => id)).size).toBe(COMPONENTS.length);
});

test('sums lose nothing, and follow the order of the papers', () => {
  const parts = Object.fromEntries(COMPONENTS.map(({ id }, index) => [id, index + 1]));
  const all = { ...parts, 'filter/rbac': 100 };
  const total = Object.values(all).reduce((a, b) => a + b);
  for (const sums of [byTable2(all), byMeshInsight(all)]) {
    expect(sums.reduce((sum, [, value]) => sum + value, 0)).toBe(total);
  }
  expect(byTable2(all).map(([row]) => row)).toEqual([...TABLE2, 'Not in Table 2']);
  expect(byMeshInsight(all).map(([row]) => row)).toEqual(MESH_INSIGHT);
  expect(Object.fromEntries(byTable2({ 'filter/rbac': 7, tls: 3 }))['Sidecar Filter']).toBe(10);
});

test('a filter is shown by its name, and a part that nobody knows is refused', () => {
  expect(partTitle('filter/rbac')).toBe('rbac');
  expect(componentOf('filter/rbac').id).toBe('filter');
  expect(() => componentOf('filters')).toThrow("no component is called 'filters'");
});

test('the document lists every component', () => {
  const text = readFileSync(new URL('../../docs/components.md', import.meta.url), 'utf8');
  for (const { id, title, table2, meshInsight } of COMPONENTS) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${id}\``)) ?? '';
    expect(row).toContain(`| ${title} |`);
    expect(row).toContain(`| ${table2 ?? '–'} | ${meshInsight} |`);
  }
});
