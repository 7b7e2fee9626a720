import { expect, test } from 'vitest';
import type { UpstreamEvents } from '../../src/http/codec.ts';
import type { Connection } from '../../src/network/connection.ts';
import type { Cluster } from '../../src/upstream/cluster.ts';
import { ConnectionPool } from '../../src/upstream/connection-pool.ts';
import type { Endpoint } from '../../src/upstream/endpoint.ts';
import { listen } from '../support/sockets.ts';
import { eventually } from '../support/story.ts';
import { Exchange, inUse, over } from './exchange.ts';
import { clusterConfig, makeCluster } from './support.ts';

/** A pool of which every connection serves so many requests at once; the test ends them. */
class TestPool extends ConnectionPool {
  readonly open: Connection[] = [];
  readonly served: UpstreamEvents[] = [];
  room = 0;
  perConnection = 1;

  constructor(cluster: Cluster, endpoint: Endpoint) {
    super(cluster, endpoint, 'DEFAULT', [], 0);
  }

  protected override serveNow(events: UpstreamEvents): boolean {
    if (this.room === 0) return false;
    this.serve(events);
    return true;
  }
  private serve(events: UpstreamEvents): void {
    if (!this.beginRequest(events)) return;
    this.room--;
    this.served.push(events);
  }
  /** The request that was served first is over. */
  endOne(): void {
    this.served.shift();
    this.room++;
    this.endRequest();
    this.fill();
  }
  private fill(): void {
    while (this.room > 0 && this.waiting.length > 0) this.serve(this.takeWaiting() as UpstreamEvents);
  }
  protected override wantedAttempts(): number {
    return Math.ceil(this.waiting.length / this.perConnection) - this.attempts.size;
  }
  protected override expectedRoom(): number {
    return this.attempts.size * this.perConnection;
  }
  protected override get connectionCount(): number {
    return this.open.length;
  }
  protected override adopt(connection: Connection): void {
    this.open.push(connection);
    this.room += this.perConnection;
    this.fill();
  }
  protected override closeIdle(): void {}
  override sweep(): void {}
  protected override closeAll(): void {
    for (const connection of this.open.splice(0)) {
      connection.handler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
      connection.destroy();
      this.limits.connections.release();
    }
  }
}

async function setUp(thresholds: Record<string, number> = {}, port?: number) {
  const server = await listen(() => {});
  const config = clusterConfig({ circuit_breakers: { thresholds: [thresholds] } }, [
    `127.0.0.1:${port ?? server.port}`,
  ]);
  const { cluster, store } = makeCluster(config);
  await cluster.start();
  const pool = new TestPool(cluster, cluster.endpoints[0] as Endpoint);
  const ask = (): Exchange => {
    const exchange = new Exchange();
    pool.acquire(exchange, false);
    return exchange;
  };
  return {
    pool,
    cluster,
    ask,
    served: (count: number) => eventually('they are served', () => pool.served.length === count),
    stat: (name: string): number => store.counters.get(`cluster.web.${name}`)?.value ?? 0,
    async [Symbol.asyncDispose]() {
      while (pool.served.length > 0) pool.endOne();
      pool.close();
      expect(inUse(cluster)).toEqual({ requests: 0, pending: 0, connections: 0 });
      cluster.stop();
      await server[Symbol.asyncDispose]();
    },
  };
}

test('a request waits for its connection, then runs', async () => {
  await using it = await setUp();
  it.ask();
  expect(inUse(it.cluster)).toEqual({ requests: 0, pending: 1, connections: 1 });
  await it.served(1);
  expect(inUse(it.cluster)).toEqual({ requests: 1, pending: 0, connections: 1 });
  expect([it.stat('upstream_rq_total'), it.stat('upstream_rq_pending_total')]).toEqual([1, 1]);
});

test('a request that is served at once does not wait', async () => {
  await using it = await setUp();
  it.ask();
  await it.served(1);
  it.pool.endOne();
  it.ask();
  expect(it.pool.served.length).toBe(1);
  expect([it.stat('upstream_rq_total'), it.stat('upstream_rq_pending_total')]).toEqual([2, 1]);
});

test('attempts are as many as the requests that wait call for, and as connections may be', async () => {
  await using it = await setUp({ max_connections: 2 });
  for (let i = 0; i < 5; i++) it.ask();
  expect(inUse(it.cluster)).toEqual({ requests: 0, pending: 5, connections: 2 });
  expect(it.stat('upstream_cx_overflow')).toBe(3);
  await it.served(2);
  for (let i = 0; i < 3; i++) it.pool.endOne();
  expect(inUse(it.cluster)).toEqual({ requests: 2, pending: 0, connections: 2 });
});

test('an endpoint without a connection gets one although the limit is reached', async () => {
  await using it = await setUp({ max_connections: 1 });
  it.cluster.limits.DEFAULT.connections.acquire();
  it.ask();
  expect(inUse(it.cluster).connections).toBe(2);
  await it.served(1);
  it.cluster.limits.DEFAULT.connections.release();
});

test('a request that is cancelled while it waits is served to nobody', async () => {
  await using it = await setUp();
  const [first, second] = [it.ask(), it.ask()];
  it.pool.cancel(first);
  it.pool.cancel(first);
  expect([inUse(it.cluster).pending, it.stat('upstream_rq_cancelled')]).toEqual([1, 1]);
  await it.served(1);
  expect(it.pool.served).toEqual([second]);
});

test('more waiting requests than may wait are refused at once', async () => {
  await using it = await setUp({ max_pending_requests: 2 });
  const asked = [it.ask(), it.ask(), it.ask()];
  expect(asked.map(({ reset }) => reset)).toEqual([undefined, undefined, 'overflow']);
  expect(it.stat('upstream_rq_pending_overflow')).toBe(1);
});

test('with a failed attempt fail the requests that it would have served, the longest waiting first', async () => {
  const closed = await listen(() => {});
  await closed[Symbol.asyncDispose]();
  await using it = await setUp({}, closed.port);
  it.pool.perConnection = 2;
  const asked = [it.ask(), it.ask(), it.ask()];
  await over(...asked);
  expect(asked.map(({ reset }) => reset)).toEqual(Array(3).fill('connection_failure'));
  expect(it.stat('upstream_rq_pending_failure_eject')).toBe(3);
  expect(inUse(it.cluster).connections).toBe(0);
});

test('close fails what waits, and gives back what its attempts hold', async () => {
  await using it = await setUp();
  const asked = [it.ask(), it.ask()];
  it.pool.close();
  expect(asked.map(({ reset, failure }) => [reset, failure])).toEqual(
    Array(2).fill(['connection_failure', 'shutting down']),
  );
  expect(inUse(it.cluster)).toEqual({ requests: 0, pending: 0, connections: 0 });
});
