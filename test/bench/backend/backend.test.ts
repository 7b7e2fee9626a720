import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backendKind, startBackend } from '../../../bench/backend/backend.ts';
import { saturationLoad } from '../../../bench/load/saturation.ts';
import { checkoutRoot } from '../../../bench/run/root.ts';
import { requestHeaders, requestPath, sentBytes } from '../../../bench/scenario.ts';
import { SCENARIOS } from '../../../bench/scenarios.ts';

const root = checkoutRoot() as string;
type Named = (typeof SCENARIOS)[number];

describe('the backend of a scenario', () => {
  it.each(['http_upload_1k', 'h2_4x32', 'h2_1m', 'grpc_unary', 'grpc_stream'])(
    'answers what the load of %s sends',
    { timeout: 30_000 },
    async (name) => {
      const scenario = SCENARIOS.find((candidate) => candidate.name === name) as Named;
      const directory = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
      const { port, child } = await startBackend(scenario, root, directory, []);
      try {
        const { requests, errors } = await saturationLoad(root, scenario).run({
          target: {
            host: '127.0.0.1',
            port,
            version: scenario.downstream,
            path: requestPath(scenario),
            connections: 2,
            streams: scenario.streams,
            bodyBytes: sentBytes(scenario),
            grpc: scenario.grpc,
            expectStatus: 200,
            headers: requestHeaders(scenario),
          },
          durationS: 1,
          cores: [],
          directory,
        });
        expect(requests).toBeGreaterThan(10);
        expect(errors).toBe(0);
      } finally {
        await child.stop();
        rmSync(directory, { recursive: true });
      }
    },
  );

  it('is never HTTP/1.1 where the proxy speaks HTTP/2 to it', () => {
    const kinds = SCENARIOS.filter(({ upstream }) => upstream === 'http2').map((each) => backendKind(each, '/nowhere'));
    expect(kinds.length).toBeGreaterThan(5);
    expect(kinds).not.toContain('node');
  });
});
