import { describe, expect, it } from 'vitest';
import { GrpcHealthServer, http2Server } from '../../support/health-servers.ts';
import { checkedProxy, HTTP2_CLUSTER } from './checks.ts';

const SHOP = { grpc_health_check: { service_name: 'shop', authority: 'shop.test' } };

describe('a gRPC health check', () => {
  it('follows what the health service says of the service', async () => {
    await using server = await new GrpcHealthServer().start();
    server.statuses.set('shop', 1);
    await using proxy = await checkedProxy(server.port, SHOP, HTTP2_CLUSTER);
    expect(await proxy.flags()).toEqual(['healthy']);
    expect(server.calls[0]).toMatchObject({ service: 'shop', metadata: { 'user-agent': 'Envoy/HC' } });
    expect(server.calls[0]?.deadlineMs).toBeGreaterThan(10_000);
    server.statuses.set('shop', 2);
    await proxy.until('healthy', (count) => count === 0);
    // An answer, not a network failure: it counts at once.
    expect(proxy.check('network_failure')).toBe(0);
    server.statuses.set('shop', 1);
    await proxy.until('healthy', (count) => count === 1);
    server.statuses.delete('shop');
    await proxy.until('healthy', (count) => count === 0);
  });

  it('asks for the server as a whole without a name', async () => {
    await using server = await new GrpcHealthServer().start();
    await using proxy = await checkedProxy(server.port, { grpc_health_check: {} }, HTTP2_CLUSTER);
    expect(await proxy.flags()).toEqual(['healthy']);
    expect(server.calls[0]?.service).toBe('');
  });

  it('survives a server that drains and comes back on its port', async () => {
    const first = await new GrpcHealthServer().start();
    first.statuses.set('shop', 1);
    const quick = { ...SHOP, unhealthy_threshold: 1, healthy_threshold: 1 };
    await using proxy = await checkedProxy(first.port, quick, HTTP2_CLUSTER);
    expect(await proxy.flags()).toEqual(['healthy']);
    await first.drain();
    await proxy.until('healthy', (count) => count === 0);
    await using second = new GrpcHealthServer();
    second.statuses.set('shop', 1);
    await second.start(first.port);
    await proxy.until('healthy', (count) => count === 1);
    expect(second.calls.length).toBeGreaterThan(0);
  });

  it('keeps its connection when one call is not answered in time', async () => {
    let connections = 0;
    let calls = 0;
    await using server = await http2Server(() => calls++);
    server.onConnection(() => connections++);
    await using proxy = await checkedProxy(server.port, { ...SHOP, timeout: '0.4s' }, HTTP2_CLUSTER);
    expect(await proxy.flags()).toEqual(['/failed_active_hc/active_hc_timeout']);
    await proxy.until('attempt', (count) => count > 3);
    expect(calls).toBeGreaterThan(2);
    expect(connections).toBe(1);
  });

  it.each([
    ['is no gRPC', 200, 'text/plain', '', '0'],
    ['has another status', 503, 'application/grpc', '\0\0\0\0\x02\x08\x01', '0'],
    ['fails', 200, 'application/grpc', '\0\0\0\0\x02\x08\x01', '14'],
    ['has no status', 200, 'application/grpc', '\0\0\0\0\x02\x08\x01', ''],
    ['is empty', 200, 'application/grpc', '', '0'],
    ['is compressed', 200, 'application/grpc', '\x01\0\0\0\x02\x08\x01', '0'],
  ])('an answer that %s makes the endpoint unhealthy', async (_name, status, type, body, grpcStatus) => {
    await using server = await http2Server((_request, response) => {
      response.writeHead(status, { 'content-type': type });
      response.write(Buffer.from(body, 'latin1'));
      if (grpcStatus !== '') response.addTrailers({ 'grpc-status': grpcStatus });
      response.end();
    });
    await using proxy = await checkedProxy(server.port, SHOP, HTTP2_CLUSTER);
    expect(await proxy.flags()).toEqual(['/failed_active_hc']);
    expect([proxy.check('network_failure'), proxy.check('success')]).toEqual([0, 0]);
  });
});
