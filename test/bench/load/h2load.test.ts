import { describe, expect, it } from 'vitest';
import { parseH2load } from '../../../bench/load/h2load.ts';

function report(rest: { requests?: string; statuses?: string; dataBytes?: number; rate?: string } = {}): string {
  return `starting benchmark...
spawning thread #0: 4 total client(s). Timing-based test with 2s of warm-up time and 2s of main duration for measurements.
Application protocol: h2c

finished in 2.01s, ${rest.rate ?? '20544.00'} req/s, 2.67MB/s
requests: ${rest.requests ?? '1000 total, 1128 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout'}
status codes: ${rest.statuses ?? '1002 2xx, 0 3xx, 0 4xx, 0 5xx'}
traffic: 5.35MB (5606226) total, 121.07KB (123972) headers (space savings 95.76%), 4.13MB (${rest.dataBytes ?? 105_210}) data
                     min         max         mean         sd        +/- sd
time for request:     1.02ms     41.31ms      6.21ms      2.31ms    90.01%
`;
}

describe("h2load's report", () => {
  it('has requests, their rate and no errors when all is well', () => {
    const right = { requests: 1000, requestsPerSecond: 20544, errors: 0 };
    expect(parseH2load(report(), false, 0)).toEqual(right);
    expect(parseH2load(report(), false, 105)).toEqual(right);
  });

  it('counts wrong statuses and lost requests once each', () => {
    const text = report({
      requests: '1000 total, 1128 started, 1000 done, 950 succeeded, 50 failed, 20 errored, 5 timeout',
      statuses: '950 2xx, 0 3xx, 10 4xx, 20 5xx',
    });
    expect(parseH2load(text, false, 0).errors).toBe(50);
  });

  it('counts a success as an error where the proxy should have denied', () => {
    const text = report({
      requests: '1000 total, 1000 started, 1000 done, 7 succeeded, 993 failed, 0 errored, 0 timeout',
      statuses: '7 2xx, 0 3xx, 993 4xx, 0 5xx',
    });
    expect(parseH2load(text, true, 0).errors).toBe(7);
  });

  it('counts answers without their message, which a failed gRPC call is', () => {
    expect(parseH2load(report({ dataBytes: 600 * 105 }), false, 105).errors).toBe(400);
  });

  it('is refused when nothing was answered', () => {
    const text = report({
      rate: '0.00',
      requests: '0 total, 4 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout',
    });
    expect(() => parseH2load(text, false, 0)).toThrow(/no answers/);
    expect(() => parseH2load('Connection refused', false, 0)).toThrow(/no answers: Connection refused/);
  });
});
