import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startNodeBackend } from '../../../bench/backend/node-backend.ts';
import { parseAutocannon, parseWrk, saturationLoad } from '../../../bench/load/saturation.ts';
import { checkoutRoot } from '../../../bench/run/root.ts';

const WRK = `Running 1s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   361.02us  172.21us   4.31ms   89.16%
  22900 requests in 1.00s, 5.10MB read
  Non-2xx or 3xx responses: 22890
  Socket errors: connect 0, read 3, write 0, timeout 1
Requests/sec:  22875.31
Transfer/sec:      5.09MB
`;

describe('saturation reports', () => {
  it('reads requests and errors from wrk', () => {
    expect(parseWrk(WRK, false)).toEqual({ requests: 22900, requestsPerSecond: 22875.31, errors: 22894 });
  });

  it('reads the median time to an answer where wrk tells it, in any unit', () => {
    const told = (value: string): string => `${WRK}  Latency Distribution\n     50%   ${value}\n     75%    2.00ms\n`;
    expect(parseWrk(told('13.50us'), false).p50Micros).toBe(13.5);
    expect(parseWrk(told('1.20ms'), false).p50Micros).toBe(1200);
  });

  it('reads the percentiles that wrk tells', () => {
    const text = `${WRK}  Latency Distribution\n     50%  100.00us\n     75%  200.00us\n     90%    1.50ms\n     99%    1.01s \n`;
    expect(parseWrk(text, false)).toMatchObject({ p50Micros: 100, p90Micros: 1500, p99Micros: 1_010_000 });
  });

  it('counts a success as an error where wrk should have been denied', () => {
    expect(parseWrk(WRK, true).errors).toBe(4 + 10);
  });

  it('does not take a report without figures', () => {
    expect(() => parseWrk('unable to connect to 127.0.0.1:1 Connection refused', false)).toThrow(
      /no figures.*refused/s,
    );
  });

  it('reads requests and errors from autocannon', () => {
    const report = {
      duration: 2,
      errors: 1,
      timeouts: 2,
      requests: { total: 1000 },
      statusCodeStats: { 200: { count: 990 }, 503: { count: 10 } },
    };
    expect(parseAutocannon(JSON.stringify(report), 200)).toEqual({
      requests: 1000,
      requestsPerSecond: 500,
      errors: 13,
    });
  });
});

describe('without wrk', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('autocannon loads instead, with bodies too', async () => {
    vi.stubEnv('PATH', '');
    const load = saturationLoad(checkoutRoot() as string, { downstream: 'http1' });
    expect(load.name).toBe('autocannon');
    vi.unstubAllEnvs();
    const backend = await startNodeBackend();
    const directory = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
    try {
      const { requests, errors } = await load.run({
        target: {
          host: '127.0.0.1',
          port: backend.port,
          version: 'http1',
          path: '/100',
          connections: 2,
          streams: 1,
          bodyBytes: 1000,
          expectStatus: 200,
          headers: { 'x-tenant': 'blue' },
        },
        durationS: 1,
        cores: [],
        directory,
      });
      expect(requests).toBeGreaterThan(10);
      expect(errors).toBe(0);
    } finally {
      await backend.close();
      rmSync(directory, { recursive: true });
    }
  });
});
