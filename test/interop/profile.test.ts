import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { findProgram } from '../../bench/run/root.ts';
import { type ProfileReport, unattributedShare } from '../../src/lab/profile/profile-report.ts';

const ROOT = join(import.meta.dirname, '../..');
const CONFIG = `
app: 127.0.0.1:18081
listen: 127.0.0.1:18080
filters:
  - rate_limit: { requests: 1000000, per: 1s }
  - ip_tag: { tags: { loopback: 127.0.0.0/8 } }
`;

test('a profile knows nearly all of the CPU time, and the probes within the proxy agree with it', {
  timeout: 180_000,
}, async (context) => {
  for (const program of ['perf', 'wrk', 'nginx']) {
    if (findProgram(program) === undefined) context.skip(`needs ${program}`);
  }
  if (process.getuid?.() !== 0) context.skip('needs root, for the kernel side of stacks');
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-profile-'));
  try {
    const config = join(folder, 'sidecar.yaml');
    const json = join(folder, 'profile.json');
    writeFileSync(config, CONFIG);
    const args = ['profile', '--peer', 'outrigger', '-c', config, '--inside', '--duration', '6', '--json', json];
    await promisify(execFile)(join(ROOT, 'bin/outrigger'), args, { timeout: 150_000 });
    const report = JSON.parse(readFileSync(json, 'utf8')) as ProfileReport;
    expect(report.schema).toBe('outrigger.profile/1');
    expect(report.sampling.samples).toBeGreaterThan(500);
    expect(Math.abs(report.parts.reduce((sum, { share }) => sum + share, 0) - 1)).toBeLessThan(1e-6);
    expect(unattributedShare(report.parts)).toBeLessThan(0.1);
    const names = report.parts.map(({ part }) => part);
    expect(names).toEqual(expect.arrayContaining(['os_read', 'os_ipc', 'os_write', 'http_parse', 'event_poll']));
    expect(names).toContain('filter/envoy.filters.http.ip_tagging');
    const { rows = [], total } = report.insideOutside ?? {};
    expect(rows.map(({ title }) => title)).toContain('Write, both sides');
    // Within 15 % on a machine that does nothing else; tests have neighbours, which no two looks meet alike.
    for (const row of rows) {
      const apart = Math.abs(row.inside - row.outside) / report.cpuUsPerRequest;
      expect(apart, `${row.title}: ${row.inside} µs inside, ${row.outside} µs outside`).toBeLessThan(0.15);
    }
    expect(Math.abs(total?.deviation ?? 1)).toBeLessThan(0.15);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
