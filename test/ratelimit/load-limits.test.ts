import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError } from '../../src/config/errors.ts';
import { loadLimits } from '../../src/ratelimit/load-limits.ts';

/** A folder with these files. */
function folder(files: Record<string, string>): string {
  const dir = mkdtempSync(join(tmpdir(), 'outrigger-limits-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

function problemsOf(text: string): string[] {
  const file = join(folder({ 'limits.yaml': text }), 'limits.yaml');
  try {
    loadLimits(file);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).problems.map(({ line, path, message }) => `${line} ${path} ${message}`);
  }
  return [];
}

test('reads the format of envoyproxy/ratelimit', () => {
  const file = join(
    folder({
      'limits.yaml': `
domain: shop
descriptors:
  - key: status
    value: 404
    rate_limit: { unit: MINUTE, requests_per_unit: 5, name: missing, replaces: [{ name: all }] }
    shadow_mode: true
  - key: free
    rate_limit: { unlimited: true }
  - key: deep
    descriptors: [{ key: deeper, value: "x*", rate_limit: { unit: year, requests_per_unit: 4294967295 } }]
`,
    }),
    'limits.yaml',
  );
  const { limits } = loadLimits(file);
  expect(limits.map(({ limit }) => limit)).toEqual([
    expect.objectContaining({ requestsPerUnit: 5, unit: 2, name: 'missing', replaces: ['all'], isShadow: true }),
    expect.objectContaining({ isUnlimited: true, unit: 0 }),
    expect.objectContaining({ requestsPerUnit: 4294967295, unit: 6, statName: 'deep.deeper_x*' }),
  ]);
});

test('a folder has a domain per file, and each domain once', () => {
  const good = folder({ 'a.yaml': 'domain: a', 'b.json': '{"domain":"b"}', 'readme.md': '#', '.hidden.yaml': 'x' });
  expect(loadLimits(good).domains).toEqual(['a', 'b']);
  const twice = folder({ 'a.yaml': 'domain: a', 'b.yaml': 'domain: a' });
  expect(() => loadLimits(twice)).toThrow(/b\.yaml:1:1 {2}the domain "a" is that of .*a\.yaml/);
  expect(() => loadLimits(folder({}))).toThrow('the folder has no file of limits');
  expect(() => loadLimits('/nowhere/limits.yaml')).toThrow('the file does not exist');
});

test('every problem is told with its line and path', () => {
  expect(
    problemsOf(`
domain: ""
descriptors:
  - key: a
    rate_limit: { unit: fortnight, requests_per_unit: -1 }
  - value: b
  - key: c
    rate_limit: { requests_per_unit: 5 }
  - key: c
    descriptors:
      - key: d
        rate_limit: { unlimited: true, unit: hour }
        limit: 3
      - key: e
        detailed_metric: true
`).sort(),
  ).toEqual([
    '12 descriptors[3].descriptors[0].rate_limit.unit cannot be given together with "unlimited"',
    '13 descriptors[3].descriptors[0].limit unknown field',
    '15 descriptors[3].descriptors[1].detailed_metric is not supported: each limit has statistics of its own, not each value',
    expect.stringMatching(/^2 domain /),
    expect.stringMatching(/^5 descriptors\[0\]\.rate_limit\.requests_per_unit /),
    expect.stringMatching(/^5 descriptors\[0\]\.rate_limit\.unit .*fortnight/),
    '6 descriptors[1].key is required',
    '8 descriptors[2].rate_limit.unit is required',
  ]);
  expect(problemsOf('domain: a\ndescriptors: [{ key: x, value: y }, { key: x, value: y }]')).toEqual([
    '2 descriptors[1] the descriptor is given twice',
  ]);
  expect(problemsOf('domain: [')[0]).toMatch(/^1 /);
});
