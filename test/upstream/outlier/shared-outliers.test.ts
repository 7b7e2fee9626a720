import { expect, test } from 'vitest';
import { SharedMemory } from '../../../src/shared-memory.ts';
import { CELL, EndpointSlots, slotBytes } from '../../../src/upstream/endpoint-slots.ts';
import { OutlierDetector } from '../../../src/upstream/outlier/outlier-detector.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { clusterConfig, makeCluster, TableResolver } from '../support.ts';
import { answer, answerMany, detectingCluster, threadShares } from './support.ts';

/** Two threads of one process, each with its own cluster object. */
async function twoThreads(count: number, fields: Record<string, unknown>) {
  const [one, two] = threadShares(count);
  if (one === undefined || two === undefined) throw new Error('no threads');
  const a = await detectingCluster(count, fields, { share: one });
  const b = await detectingCluster(count, fields, { share: two });
  return {
    a,
    b,
    [Symbol.dispose]() {
      a[Symbol.dispose]();
      b[Symbol.dispose]();
    },
  };
}

test('failures that two threads see are counted together, and the next pick of either knows', async () => {
  using threads = await twoThreads(3, { consecutive_5xx: 4 });
  const { a, b } = threads;
  answer(a.at(0), 500, 500);
  answer(b.at(0), 500, 500);
  expect(b.out()).toEqual([1]);
  const picked = new Set(Array.from({ length: 100 }, () => a.cluster.pick(undefined)?.address));
  expect(picked.has('10.0.0.1:80')).toBe(false);
  expect(a.out()).toEqual([1]);
  expect(a.stat('ejections_active')).toBe(1);
  expect(b.stat('ejections_active')).toBe(1);
  expect(a.stat('ejections_enforced_total') + b.stat('ejections_enforced_total')).toBe(1);
});

test('a success in one thread ends the row of failures in the other', async () => {
  using threads = await twoThreads(3, { consecutive_5xx: 4 });
  answer(threads.a.at(0), 500, 500, 500);
  answer(threads.b.at(0), 200);
  answer(threads.a.at(0), 500, 500, 500);
  expect(threads.a.out()).toEqual([]);
});

test('the share of endpoints that are out is that of the process', async () => {
  using threads = await twoThreads(4, { consecutive_5xx: 1, max_ejection_percent: 25 });
  const { a, b } = threads;
  answer(a.at(0), 500);
  answer(b.at(1), 500);
  b.cluster.adoptShared();
  expect(b.out()).toEqual([1]);
  expect(b.stat('ejections_overflow')).toBe(1);
});

test('one thread looks at success rates, those of all requests, once in an interval', async () => {
  using threads = await twoThreads(5, { consecutive_5xx: 10_000 });
  const { a, b } = threads;
  for (let i = 0; i < 5; i++) {
    answerMany(a.at(i), 60, i === 1 ? 60 : 0);
    answerMany(b.at(i), 60, i === 1 ? 0 : 0);
  }
  a.interval();
  b.interval();
  b.cluster.adoptShared();
  expect(a.out()).toEqual([2]);
  expect(b.out()).toEqual([2]);
  expect(b.outliers.successRate(b.at(1), 'external')).toBe(50);
  expect(a.stat('ejections_detected_success_rate') + b.stat('ejections_detected_success_rate')).toBe(1);
});

test('whichever thread comes first lets an endpoint back, and the other one knows', async () => {
  using threads = await twoThreads(3, { consecutive_5xx: 1 });
  const { a, b } = threads;
  answer(a.at(0), 500);
  b.interval();
  a.cluster.adoptShared();
  expect([a.out(), b.out()]).toEqual([[], []]);
});

test('a new configuration of a cluster begins with clean slots, and the old one gives its own back', () => {
  const [share] = threadShares(4, 1);
  if (share === undefined) throw new Error('no thread');
  const before = new EndpointSlots(share);
  const after = new EndpointSlots({ ...share, generation: 'b' });
  const old = before.claim('10.0.0.1:80');
  old.cells[old.at + CELL.CONSECUTIVE_5XX] = 3;
  const fresh = after.claim('10.0.0.1:80');
  expect(fresh.at).not.toBe(old.at);
  expect(fresh.cells[fresh.at + CELL.CONSECUTIVE_5XX]).toBe(0);
  before.release(old);
  const again = before.claim('10.0.0.9:80');
  expect(again.at).toBe(old.at);
  expect(again.cells[again.at + CELL.CONSECUTIVE_5XX]).toBe(0);
});

test('an endpoint that finds no place is looked after by its thread alone', () => {
  const [share] = threadShares(1, 1);
  if (share === undefined) throw new Error('no thread');
  const slots = new EndpointSlots(share);
  const claimed = Array.from({ length: 40 }, (_, i) => slots.claim(`10.0.0.${i}:80`));
  expect(claimed.filter(({ shared }) => shared)).toHaveLength(16);
  expect(claimed.at(-1)?.cells).toHaveLength(22);
});

test('what a crashed thread held is given back: its slots, its checks and the lock', () => {
  const memory = new SharedMemory();
  const key = 'cluster.web.endpoints';
  const of = (threadId: number) =>
    new EndpointSlots({
      block: memory.get(key, slotBytes(4)),
      ledger: new Int32Array(memory.get(`ledger ${threadId} ${key}`, slotBytes(4))),
      threadId,
      generation: 'a',
    });
  const [crashing, staying] = [of(1), of(2)];
  const slot = crashing.claim('10.0.0.1:80');
  expect(staying.claim('10.0.0.1:80').at).toBe(slot.at);
  expect(crashing.becomeChecker(slot)).toBe(true);
  expect(staying.becomeChecker(slot)).toBe(false);
  let locked = false;
  crashing.locked(() => {
    memory.settleLedgers(1);
    staying.locked(() => {
      locked = true;
    });
  });
  expect(locked).toBe(true);
  expect(staying.becomeChecker(slot)).toBe(true);
  expect(slot.cells[slot.at + CELL.USERS]).toBe(1);
});

test.each([
  ['STRICT_DNS', ['10.0.0.1', '10.0.0.2'], ['10.0.0.2', '10.0.0.1']],
  ['LOGICAL_DNS', ['10.0.0.1', '10.0.0.2'], ['10.0.0.2', '10.0.0.1']],
])('%s: threads that get addresses in another order mean the same endpoint', async (type, first, second) => {
  const fields = { type, outlier_detection: { consecutive_5xx: 2, interval: '1000s', max_ejection_percent: 100 } };
  const clusters = await Promise.all(
    threadShares(2).map(async (share, index) => {
      const resolver = new TableResolver();
      resolver.table.set('shop.test', index === 0 ? first : second);
      const config = clusterConfig(fields, ['shop.test:80']);
      const { cluster } = makeCluster(config, resolver);
      const slots = new EndpointSlots(share);
      cluster.slots = slots;
      cluster.outliers = new OutlierDetector(
        cluster,
        config.outlier_detection as NonNullable<typeof config.outlier_detection>,
        { slots, random: new CounterRandom(1) },
      );
      await cluster.start();
      return cluster;
    }),
  );
  for (const { endpoints } of clusters) {
    const endpoint = type === 'LOGICAL_DNS' ? endpoints[0] : endpoints.find(({ host }) => host === '10.0.0.1');
    endpoint?.failureMonitor?.onResponse(500);
  }
  for (const cluster of clusters) {
    cluster.adoptShared();
    expect(cluster.endpoints.filter(({ healthy }) => !healthy)).toHaveLength(1);
    cluster.stop();
  }
});
