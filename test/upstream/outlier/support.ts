import type { Endpoint } from '../../../src/upstream/endpoint.ts';
import { EndpointSlots, type SharedSlots, slotBytes } from '../../../src/upstream/endpoint-slots.ts';
import { OutlierDetector } from '../../../src/upstream/outlier/outlier-detector.ts';
import { CounterRandom } from '../../../src/upstream/random.ts';
import { clusterConfig, makeCluster } from '../support.ts';

/** A cluster of so many endpoints with outlier detection, and a clock that stands until it is set. */
export async function detectingCluster(
  count: number,
  fields: Record<string, unknown>,
  options: { readonly share?: SharedSlots; readonly cluster?: Record<string, unknown>; readonly seed?: number } = {},
) {
  const addresses = Array.from({ length: count }, (_, i) => `10.0.0.${i + 1}:80`);
  // Intervals come when a test says so.
  const outlier_detection = { interval: '1000s', base_ejection_time: '30s', max_ejection_percent: 100, ...fields };
  const config = clusterConfig({ outlier_detection, ...options.cluster }, addresses);
  const { cluster, store } = makeCluster(config);
  const clock = { ms: 1000 };
  const slots = new EndpointSlots(options.share);
  cluster.slots = slots;
  const outliers = new OutlierDetector(
    cluster,
    config.outlier_detection as NonNullable<typeof config.outlier_detection>,
    {
      slots,
      random: new CounterRandom(options.seed ?? 1),
      clockMs: () => clock.ms,
    },
  );
  cluster.outliers = outliers;
  await cluster.start();
  return {
    cluster,
    outliers,
    clock,
    stat: (name: string): number => {
      const full = `cluster.web.outlier_detection.${name}`;
      return (store.counters.get(full) ?? store.gauges.get(full))?.value ?? -1;
    },
    at: (index: number): Endpoint => cluster.endpoints[index] as Endpoint,
    /** The last parts of the addresses of those that are out. */
    out: (): number[] =>
      cluster.endpoints.flatMap((endpoint, index) => (endpoint.health === 'unhealthy' ? [index + 1] : [])),
    /** So much later, an interval ends. */
    interval(afterMs = 1_000_000): void {
      clock.ms += afterMs;
      outliers.onInterval();
    },
    [Symbol.dispose]: () => cluster.stop(),
  };
}

/** Responses of an endpoint, by status. */
export function answer(endpoint: Endpoint, ...statuses: number[]): void {
  for (const status of statuses) endpoint.failureMonitor?.onResponse(status);
}

/** So many responses, some of which are failures. */
export function answerMany(endpoint: Endpoint, total: number, failures: number, status = 500): void {
  for (let i = 0; i < total; i++) answer(endpoint, i % total < failures ? status : 200);
}

/** What a thread has of memory that it shares with others. */
export function threadShares(count: number, threads = 2, generation = 'a'): SharedSlots[] {
  const block = new SharedArrayBuffer(slotBytes(count));
  return Array.from({ length: threads }, (_, threadId) => ({
    block,
    ledger: new Int32Array(block.byteLength / 4),
    threadId,
    generation,
  }));
}
