import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findHaproxy, haproxyConfig } from '../../../bench/peers/haproxy.ts';
import { isPlain } from '../../../bench/scenario.ts';
import { SCENARIOS } from '../../../bench/scenarios.ts';

const RUN = { listenPort: 21_001, backendPort: 21_002, directory: '/nowhere' };

function config(name: string): string {
  const scenario = SCENARIOS.find((candidate) => candidate.name === name) as (typeof SCENARIOS)[number];
  return haproxyConfig({ scenario, ...RUN });
}

describe("HAProxy's configuration", () => {
  it('has HTTP/2 on the sides that speak it', () => {
    expect(config('h2_4x32')).toMatch(/bind 127\.0\.0\.1:21001 backlog 1024 proto h2\n.*server .*:21002 proto h2\n/);
    expect(config('h1_h2')).toMatch(/bind 127\.0\.0\.1:21001 backlog 1024\n.*server .*:21002 proto h2\n/);
    expect(config('h2_h1')).toMatch(/bind 127\.0\.0\.1:21001 backlog 1024 proto h2\n.*server .*:21002\n/);
    expect(config('http')).not.toContain('h2');
  });

  const found = findHaproxy();
  it.skipIf('missing' in found)('is accepted by HAProxy', async () => {
    if ('missing' in found) return;
    const directory = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
    try {
      for (const scenario of SCENARIOS.filter(isPlain)) {
        const command = await found.peer.prepare({ ...RUN, scenario, directory });
        const args = [...(command?.args ?? []), '-c'];
        const { status, stderr } = spawnSync(command?.command ?? '', args, { encoding: 'utf8' });
        expect(status, `${scenario.name}: ${stderr}`).toBe(0);
        expect(stderr).not.toContain('[WARNING]');
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
