import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { networkRateLimit } from '../../../filters/ratelimit/network.ts';
import { type RateLimitRequest, readRateLimitRequest } from '../../../src/http/grpc/rate-limit-request.ts';
import { NetworkFilterHarness } from '../../support/filter-harness.ts';
import { startTestProxy, tcpConfig } from '../../support/proxy.ts';
import { rateLimitCluster, startRateLimitServer } from '../../support/ratelimit.ts';
import { TestClient } from '../../support/sockets.ts';

const service = { transport_api_version: 'V3', grpc_service: { envoy_grpc: { cluster_name: 'limits' } } };
const config = {
  stat_prefix: 'edge',
  domain: 'shop',
  descriptors: [
    { entries: [{ key: 'peer', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' }] },
    { entries: [{ key: 'all', value: 'yes' }], limit: { requests_per_unit: 7, unit: 'MINUTE' }, hits_addend: 2 },
  ],
  rate_limit_service: service,
};

function filterWith(answer: Uint8Array | Error, fields: object = {}) {
  const asked: RateLimitRequest[] = [];
  const filter = new NetworkFilterHarness(
    networkRateLimit,
    { ...config, ...fields },
    {
      calls: {
        unary(_cluster, _path, message) {
          asked.push(readRateLimitRequest(Buffer.from(message)));
          if (answer instanceof Error) throw answer;
          return answer;
        },
      },
    },
  );
  const stats = () =>
    ['total', 'ok', 'over_limit', 'error', 'failure_mode_allowed', 'cx_closed', 'active'].map((name) =>
      filter.stat(`ratelimit.edge.${name}`),
    );
  return { filter, asked, stats };
}

test('a connection is described by the configuration, and goes on when the service says so', async () => {
  const { filter, asked, stats } = filterWith(Buffer.from('0801', 'hex'));
  expect(await filter.connect({ peer: '10.0.0.9' }).verdict).toBeUndefined();
  expect(asked[0]).toEqual({
    domain: 'shop',
    hitsAddend: 0,
    descriptors: [
      { entries: [{ key: 'peer', value: '10.0.0.9' }], limit: undefined, hitsAddend: undefined },
      { entries: [{ key: 'all', value: 'yes' }], limit: { requestsPerUnit: 7, unit: 2 }, hitsAddend: 2 },
    ],
  });
  expect(stats()).toEqual([1, 1, 0, 0, 0, 0, 0]);
});

test('a connection over its limit is ended; metadata of the answer is kept', async () => {
  const { filter, stats } = filterWith(Buffer.from('080232100a0e0a046b696e6412061a0474657374', 'hex'));
  const { stream, verdict } = filter.connect();
  expect(await verdict).toEqual({ kind: 'stop', details: 'ratelimit_close_over_limit', flag: 'RL' });
  expect(stream.getMetadata('envoy.filters.network.ratelimit', 'kind')).toBe('test');
  expect(stats()).toEqual([1, 0, 1, 0, 0, 1, 0]);
});

test('a service that fails lets connections pass, or ends them, as configured', async () => {
  const open = filterWith(new Error('down'));
  expect(await open.filter.connect().verdict).toBeUndefined();
  expect(open.stats()).toEqual([1, 0, 0, 1, 1, 0, 0]);
  const closed = filterWith(new Error('down'), { failure_mode_deny: true });
  expect(await closed.filter.connect().verdict).toMatchObject({ kind: 'stop', flag: 'RLSE' });
  expect(closed.stats()).toEqual([1, 0, 0, 1, 0, 1, 0]);
});

test('connections over the limit of a real service are closed before the app sees them', async () => {
  let accepted = 0;
  const app = createServer((socket) => {
    accepted++;
    socket.on('error', () => {});
    socket.end('hello');
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const { port } = app.address() as { port: number };
  await using limits = await startRateLimitServer(
    'domain: shop\ndescriptors:\n- key: peer\n  rate_limit: { unit: hour, requests_per_unit: 2 }\n',
  );
  const filter = `- name: envoy.filters.network.ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.ratelimit.v3.RateLimit
          stat_prefix: edge
          domain: shop
          timeout: 10s
          descriptors: [{ entries: [{ key: peer, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }] }]
          rate_limit_service: { transport_api_version: V3, grpc_service: { envoy_grpc: { cluster_name: ratelimit } } }
      - name: envoy.filters.network.tcp_proxy`;
  const clusters = rateLimitCluster(limits.port).replaceAll('\n', '\n  ');
  const text = `${tcpConfig(port).replace('- name: envoy.filters.network.tcp_proxy', filter)}  ${clusters}\n`;
  await using proxy = await startTestProxy(text);
  const answers: string[] = [];
  for (let i = 0; i < 4; i++) {
    const client = await TestClient.connect(proxy.port);
    await expect.poll(() => client.closed || client.ended).toBe(true);
    answers.push(client.received.toString());
    client.socket.destroy();
  }
  expect([answers, accepted]).toEqual([['hello', 'hello', '', ''], 2]);
  expect(proxy.stat('ratelimit.edge.cx_closed')).toBe(2);
  app.close();
});
