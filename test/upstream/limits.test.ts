import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import type { Thresholds } from '../../src/config/schema/cluster.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { createLimits, LIMIT_BYTES } from '../../src/upstream/limits.ts';

const DEFAULTS: Thresholds = {
  priority: 'DEFAULT',
  max_connections: 1024,
  max_pending_requests: 1024,
  max_requests: 1024,
  max_retries: 3,
  track_remaining: false,
};

function setup(
  thresholds: readonly Partial<Thresholds>[] = [],
  buffer: ArrayBufferLike = new ArrayBuffer(LIMIT_BYTES),
) {
  const store = new StatsStore();
  const limits = createLimits(
    new Int32Array(buffer),
    thresholds.map((given) => ({ ...DEFAULTS, ...given })),
    store.scope('cluster.c'),
  );
  const gauge = (name: string) => store.gauges.get(`cluster.c.circuit_breakers.${name}`)?.value;
  return { limits, gauge, store };
}

describe('circuit breakers', () => {
  it('have the defaults of Envoy for both priorities', () => {
    const { limits } = setup();
    for (const { connections, pendingRequests, requests, retries } of [limits.DEFAULT, limits.HIGH]) {
      expect([connections.max, pendingRequests.max, requests.max, retries.max]).toEqual([1024, 1024, 1024, 3]);
    }
  });

  it('open at the limit and close below it', () => {
    const { limits, gauge } = setup([{ max_requests: 2 }]);
    const { requests } = limits.DEFAULT;
    expect([requests.tryAcquire(), requests.tryAcquire(), requests.tryAcquire()]).toEqual([true, true, false]);
    expect(requests.count).toBe(2);
    expect(requests.canAcquire()).toBe(false);
    expect(gauge('default.rq_open')).toBe(1);
    requests.release();
    expect(requests.canAcquire()).toBe(true);
    expect(gauge('default.rq_open')).toBe(0);
  });

  it('count what is taken above the limit', () => {
    const { limits, gauge } = setup([{ max_connections: 1 }]);
    const { connections } = limits.DEFAULT;
    connections.acquire();
    connections.acquire();
    connections.release();
    expect(connections.count).toBe(1);
    expect(gauge('default.cx_open')).toBe(1);
  });

  it('count each priority and resource for itself', () => {
    const { limits, gauge } = setup([
      { max_requests: 1, max_retries: 0 },
      { priority: 'HIGH', max_pending_requests: 0 },
    ]);
    expect(limits.DEFAULT.requests.tryAcquire()).toBe(true);
    expect(limits.HIGH.requests.count).toBe(0);
    expect(limits.DEFAULT.connections.count).toBe(0);
    expect(gauge('default.rq_open')).toBe(1);
    expect(gauge('default.rq_pending_open')).toBe(0);
    expect(gauge('high.rq_open')).toBe(0);
  });

  it('that let nothing through are not open by that alone, as in Envoy', () => {
    const { limits, gauge } = setup([{ max_connections: 0 }]);
    expect(limits.DEFAULT.connections.tryAcquire()).toBe(false);
    expect(gauge('default.cx_open')).toBe(0);
    limits.DEFAULT.connections.acquire();
    expect(gauge('default.cx_open')).toBe(1);
  });

  it('tell what remains only where that is asked for', () => {
    const { limits, gauge } = setup([{ max_connections: 2, track_remaining: true }]);
    limits.DEFAULT.connections.acquire();
    expect(gauge('default.remaining_cx')).toBe(1);
    expect(gauge('default.remaining_retries')).toBe(3);
    limits.DEFAULT.connections.acquire();
    limits.DEFAULT.connections.acquire();
    expect(gauge('default.remaining_cx')).toBe(0);
    expect(gauge('high.remaining_cx')).toBeUndefined();
  });

  it('let a retry budget grow with the requests in flight, from its least concurrency on', () => {
    const { limits } = setup([{ retry_budget: { budget_percent: { value: 25 }, min_retry_concurrency: 2 } }]);
    const { requests, pendingRequests, retries } = limits.DEFAULT;
    expect(retries.max).toBe(2);
    for (let i = 0; i < 8; i++) requests.acquire();
    for (let i = 0; i < 8; i++) pendingRequests.acquire();
    expect(retries.max).toBe(4);
    for (let i = 0; i < 4; i++) expect(retries.tryAcquire()).toBe(true);
    expect(retries.tryAcquire()).toBe(false);
    for (let i = 0; i < 8; i++) requests.release();
    expect(retries.canAcquire()).toBe(false);
  });

  it('are 20 % of the requests for an empty retry budget', () => {
    const { limits } = setup([{ retry_budget: { min_retry_concurrency: 3 } }]);
    for (let i = 0; i < 100; i++) limits.DEFAULT.requests.acquire();
    expect(limits.DEFAULT.retries.max).toBe(20);
  });

  it('leave gauges of shared counts to whoever publishes them', () => {
    const buffer = new SharedArrayBuffer(LIMIT_BYTES);
    const [one, other] = [setup([{ max_requests: 1 }], buffer), setup([{ max_requests: 1 }], buffer)];
    expect(one.limits.DEFAULT.requests.tryAcquire()).toBe(true);
    expect(other.limits.DEFAULT.requests.tryAcquire()).toBe(false);
    expect(other.limits.DEFAULT.requests.count).toBe(1);
    expect([one.gauge('default.rq_open'), other.gauge('default.rq_open')]).toEqual([0, 0]);
    other.limits.DEFAULT.publish();
    expect([one.gauge('default.rq_open'), other.gauge('default.rq_open')]).toEqual([0, 1]);
    one.limits.DEFAULT.requests.release();
    expect(other.limits.DEFAULT.requests.tryAcquire()).toBe(true);
  });

  it('are never exceeded by threads that compete', async () => {
    const LIMIT = 5;
    const buffer = new SharedArrayBuffer(LIMIT_BYTES);
    const moduleUrl = new URL('../../src/upstream/limits.ts', import.meta.url).href;
    const statsUrl = new URL('../../src/observe/stats.ts', import.meta.url).href;
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      Promise.all([import(${JSON.stringify(moduleUrl)}), import(${JSON.stringify(statsUrl)})]).then(([limits, stats]) => {
        const thresholds = [{ priority: 'DEFAULT', max_requests: ${LIMIT} }];
        const { requests } = limits.createLimits(new Int32Array(workerData), thresholds, new stats.StatsStore()).DEFAULT;
        let most = 0;
        let held = 0;
        for (let i = 0; i < 200000; i++) {
          if (i % 3 !== 2 && requests.tryAcquire()) held++;
          else if (held > 0) { requests.release(); held--; }
          if (held > most) most = held;
        }
        const kept = held;
        for (; held > 0; held--) requests.release();
        parentPort.postMessage({ most, kept });
      });`;
    const workers = [0, 1].map(() => new Worker(code, { eval: true, workerData: buffer }));
    const results = await Promise.all(
      workers.map(
        (worker) =>
          new Promise<{ most: number }>((resolve, reject) => {
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (const { most } of results) expect(most).toBeLessThanOrEqual(LIMIT);
    expect(setup([], buffer).limits.DEFAULT.requests.count).toBe(0);
  });
});
