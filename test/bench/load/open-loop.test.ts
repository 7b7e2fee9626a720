import { afterEach, describe, expect, it } from 'vitest';
import { type NodeBackend, startNodeBackend } from '../../../bench/backend/node-backend.ts';
import { generatorLimits, type OpenLoopOptions, runOpenLoop } from '../../../bench/load/open-loop.ts';

let backend: NodeBackend | undefined;

afterEach(async () => {
  await backend?.close();
  backend = undefined;
});

async function options(rest: Partial<OpenLoopOptions> = {}): Promise<OpenLoopOptions> {
  backend = await startNodeBackend();
  return {
    host: '127.0.0.1',
    port: backend.port,
    version: 'http1',
    path: '/100',
    rate: 1000,
    connections: 8,
    streams: 1,
    durationMs: 1000,
    warmupMs: 100,
    bodyBytes: 0,
    expectStatus: 200,
    headers: { accept: '*/*' },
    ...rest,
  };
}

describe('open-loop load', () => {
  it('has a stall of the backend in its percentiles, for every request that should have been sent meanwhile', async () => {
    const load = await options();
    const run = runOpenLoop({ ...load, onMeasure: () => setTimeout(() => backend?.stall(300), 300) });
    const { latency, requests, errors, unanswered } = await run;
    expect(requests).toBe(1000);
    expect(errors + unanswered).toBe(0);
    expect(latency.max).toBeGreaterThan(280_000);
    // 300 of 1000 requests fell due during the stall and waited 0 to 300 ms. A closed loop would have noticed 8.
    expect(latency.p99).toBeGreaterThan(250_000);
    expect(latency.p90).toBeGreaterThan(150_000);
    expect(latency.p50).toBeLessThan(100_000);
  });

  it('counts a stall that outlasts the load', async () => {
    const load = await options({ durationMs: 300, rate: 500, drainMs: 300 });
    const run = runOpenLoop({ ...load, onMeasure: () => setTimeout(() => backend?.stall(60_000), 100) });
    const { latency, unanswered, requests } = await run;
    expect(requests).toBe(150);
    expect(unanswered).toBeGreaterThan(50);
    expect(latency.max).toBeGreaterThan(450_000);
  });

  it('sends at the rate that it was told', async () => {
    const { achievedRate, requests, errors } = await runOpenLoop(await options({ rate: 2000, durationMs: 500 }));
    expect(requests).toBe(1000);
    expect(errors).toBe(0);
    expect(achievedRate).toBeGreaterThan(1800);
  });

  it('sends bodies of the size that was asked for', async () => {
    const load = await options({ bodyBytes: 64 * 1024, rate: 200, durationMs: 300 });
    const { requests, errors, unanswered } = await runOpenLoop(load);
    expect({ requests, errors, unanswered }).toEqual({ requests: 60, errors: 0, unanswered: 0 });
  });

  it('counts another status than the expected one as an error', async () => {
    const load = await options({ path: '/nothing', rate: 200, durationMs: 200 });
    expect((await runOpenLoop(load)).errors).toBe(40);
  });

  it('says so when nobody listens', async () => {
    const load = await options({ connections: 1 });
    await backend?.close();
    await expect(runOpenLoop({ ...load, connectTimeoutMs: 200 })).rejects.toThrow(/0 of 1 connections/);
  });
});

describe('generator limits', () => {
  it('are empty when the generator kept up', () => {
    expect(generatorLimits(300, 60)).toEqual([]);
  });

  it('name a generator that ran out of CPU, and one that sent late', () => {
    expect(generatorLimits(300, 95)).toEqual(['generator used 95 % of a core']);
    expect(generatorLimits(4200, 50)).toEqual(['generator sent 4.2 ms late (p99)']);
  });
});
