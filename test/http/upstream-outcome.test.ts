import { expect, test } from 'vitest';
import type { ResponseHead } from '../../src/http/message.ts';
import { countResponseHead, outcomeStatus } from '../../src/http/upstream-outcome.ts';
import { makeEndpoint } from '../upstream/balancer/support.ts';
import { clusterConfig, makeCluster } from '../upstream/support.ts';

const headOf = (status: number, grpcStatus?: string): ResponseHead =>
  ({
    status,
    has: () => false,
    get: (name: string) => (name === 'grpc-status' ? grpcStatus : undefined),
  }) as unknown as ResponseHead;

test.each([
  [200, undefined, true, 200],
  [200, '0', true, 200],
  [200, '14', true, 503],
  [200, '5', true, 404],
  [200, 'x', true, 500],
  [200, '14', false, 200],
  [503, undefined, true, 503],
])('a response %d with grpc-status %s (a call: %s) is worth %d', (status, grpcStatus, isGrpc, worth) => {
  expect(outcomeStatus(headOf(status, grpcStatus), isGrpc)).toBe(worth);
});

test('what a head says is counted for its endpoint and its cluster', () => {
  const { cluster, store } = makeCluster(clusterConfig({}));
  const endpoint = makeEndpoint(1);
  const seen: number[] = [];
  endpoint.failureMonitor = {
    onResponse: (status) => seen.push(status),
    onConnected() {},
    onTcpConnected() {},
    onFailure() {},
    onTimeout() {},
  };
  countResponseHead(cluster, endpoint, headOf(500), false, false);
  countResponseHead(cluster, endpoint, headOf(200), false, false);
  countResponseHead(cluster, endpoint, headOf(200, '14'), true, true);
  // This call says the rest in its trailers.
  countResponseHead(cluster, endpoint, headOf(200), false, true);
  expect(seen).toEqual([500, 200, 503, 200]);
  expect([endpoint.stats.rqError, endpoint.stats.rqSuccess]).toEqual([2, 1]);
  expect(store.counters.get('cluster.web.upstream_rq_2xx')?.value).toBe(3);
});
