import { expect, test } from 'vitest';
import { FILTER_PAGES } from '../../filters/pages.ts';
import { filterList, filterShow } from '../../src/cli/filter-pages.ts';
import { runCli } from './run-cli.ts';

test('filter list has a line for each filter, and JSON with its semantics', async () => {
  const { code, stdout } = await runCli(['filter', 'list']);
  expect(code).toBe(0);
  expect(stdout.trim().split('\n')).toHaveLength(FILTER_PAGES.length);
  const rbac = JSON.parse(filterList(true)).find(({ page }: { page: string }) => page === 'rbac');
  expect(rbac).toMatchObject({ name: 'envoy.filters.http.rbac', semantics: { side: 'either', state: 'none' } });
});

test('filter show knows a filter by its page and by its name', () => {
  expect(filterShow('header_mutation', false)).toContain('# Header mutation');
  expect(filterShow('envoy.filters.http.rbac', false)).toContain('# RBAC');
  expect(filterShow('buffer', true)).toMatch(/^listen: /);
});

test('filter show suggests the filter that was meant', async () => {
  const { code, stderr } = await runCli(['filter', 'show', 'bufer']);
  expect(code).toBe(2);
  expect(stderr).toContain('did you mean buffer?');
});
