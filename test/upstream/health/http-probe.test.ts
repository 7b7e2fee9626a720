import { describe, expect, it } from 'vitest';
import { http2Server, httpServer } from '../../support/health-servers.ts';
import { TestPki, tlsServer, transportSocket, trust } from '../../support/tls.ts';
import { checkedProxy, hex } from './checks.ts';

const HTTP = { http_health_check: { path: '/healthz' } };
const HTTP2 = { http_health_check: { path: '/healthz', codec_client_type: 'HTTP2' } };
/** Long enough that a check ends before it, also on a busy machine, where the check is to be answered. */
const SHORT = '0.3s';

const PROTOCOLS: [name: string, check: Record<string, unknown>, start: typeof httpServer][] = [
  ['HTTP/1.1', HTTP, httpServer],
  ['HTTP/2', HTTP2, http2Server as unknown as typeof httpServer],
];

describe.each(PROTOCOLS)('a check over %s', (_name, check, startServer) => {
  it('keeps its connection for the next one', async () => {
    let connections = 0;
    await using server = await startServer((_request, response) => response.end());
    server.onConnection(() => connections++);
    await using proxy = await checkedProxy(server.port, check);
    await proxy.until('success', (count) => count > 5);
    expect(connections).toBe(1);
    expect(server.seen[0]).toMatchObject({ line: 'GET /healthz', headers: { 'user-agent': 'Envoy/HC' } });
    expect(proxy.check('failure')).toBe(0);
  });

  it('takes a connection of its own where it may not', async () => {
    let connections = 0;
    await using server = await startServer((_request, response) => response.end('body'));
    server.onConnection(() => connections++);
    await using proxy = await checkedProxy(server.port, { ...check, reuse_connection: false });
    await proxy.until('success', (count) => count > 5);
    expect(connections).toBeGreaterThan(5);
    expect(proxy.check('failure')).toBe(0);
  });

  it('connects anew when the server ended the connection between two checks', async () => {
    await using server = await startServer((_request, response) => response.end());
    await using proxy = await checkedProxy(server.port, { ...check, interval: '1s', no_traffic_interval: '1s' });
    for (let round = 1; round <= 2; round++) {
      await proxy.until('success', (count) => count >= round);
      for (const socket of server.sockets) socket.end();
    }
    await proxy.until('success', (count) => count > 2);
    expect(proxy.check('failure')).toBe(0);
  });

  it('fails when it is not answered in time, and the next one has a new connection', async () => {
    let silent = true;
    await using server = await startServer((_request, response) => {
      if (!silent) response.end();
    });
    await using proxy = await checkedProxy(server.port, { ...check, timeout: SHORT, healthy_threshold: 1 });
    expect(await proxy.flags()).toEqual(['/failed_active_hc/active_hc_timeout']);
    silent = false;
    await proxy.until('healthy', (count) => count === 1);
    expect(await proxy.flags()).toEqual(['healthy']);
  });

  it('fails when the connection breaks, as often as the threshold says', async () => {
    let breaking = false;
    await using server = await startServer((request, response) => {
      if (breaking) request.socket.destroy();
      else response.end();
    });
    await using proxy = await checkedProxy(server.port, { ...check, unhealthy_threshold: 3 });
    await proxy.until('success', (count) => count >= 1);
    breaking = true;
    await proxy.until('healthy', (count) => count === 0);
    expect(proxy.check('network_failure')).toBeGreaterThanOrEqual(3);
    breaking = false;
    await proxy.until('healthy', (count) => count === 1);
  });

  it('is not counted among the requests and connections of the cluster', async () => {
    await using server = await startServer((_request, response) => response.end());
    await using proxy = await checkedProxy(server.port, check);
    await proxy.until('success', (count) => count > 2);
    const counted = ['upstream_cx_total', 'upstream_cx_active', 'upstream_rq_total', 'upstream_rq_200'];
    expect(counted.map((name) => proxy.stat(`cluster.app.${name}`))).toEqual([0, 0, 0, 0]);
  });

  it('ends with the proxy', async () => {
    await using server = await startServer((_request, response) => response.end());
    const proxy = await checkedProxy(server.port, check);
    await proxy.until('success', (count) => count > 0);
    await proxy[Symbol.asyncDispose]();
    while (server.sockets.length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(proxy.check('healthy')).toBe(0);
  });
});

describe('a check over HTTP/1.1', () => {
  it('connects anew behind a response that says so', async () => {
    let connections = 0;
    await using server = await httpServer((_request, response) => {
      response.setHeader('connection', 'close');
      response.end('bye');
    });
    server.onConnection(() => connections++);
    await using proxy = await checkedProxy(server.port, HTTP);
    await proxy.until('success', (count) => count > 3);
    expect(connections).toBeGreaterThan(3);
    expect(proxy.check('failure')).toBe(0);
  });

  it('fails for what is no HTTP', async () => {
    await using server = await httpServer((_request, response) => {
      response.socket?.end('SSH-2.0-OpenSSH\r\n');
    });
    await using proxy = await checkedProxy(server.port, HTTP);
    expect(await proxy.flags()).toEqual(['/failed_active_hc']);
    expect(proxy.check('network_failure')).toBeGreaterThan(0);
  });

  it('finds blocks in a body that comes in pieces, within the bytes that are searched', async () => {
    await using server = await httpServer((_request, response) => {
      response.write('x'.repeat(1000));
      setImmediate(() => response.end(`start${'y'.repeat(100)}end`));
    });
    const check = (response_buffer_size: number) => ({
      http_health_check: { path: '/', receive: [hex('start'), hex('end')], response_buffer_size },
    });
    await using enough = await checkedProxy(server.port, check(1108));
    expect(await enough.flags()).toEqual(['healthy']);
    await using tooFew = await checkedProxy(server.port, check(1107));
    expect(await tooFew.flags()).toEqual(['/failed_active_hc']);
    await using all = await checkedProxy(server.port, check(0));
    expect(await all.flags()).toEqual(['healthy']);
  });

  it('is encrypted where the cluster is, and trusts whom it trusts', async () => {
    const pki = new TestPki();
    const offered: string[][] = [];
    const ALPNCallback = ({ protocols }: { protocols: string[] }): string | undefined => {
      offered.push(protocols);
      return protocols[0];
    };
    await using server = await tlsServer({ ...pki.server, ALPNCallback }, (socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
    });
    const tls = (ca: TestPki['ca']) =>
      transportSocket('UpstreamTlsContext', { common_tls_context: { validation_context: trust(ca) } });
    await using trusting = await checkedProxy(server.port, HTTP, tls(pki.ca));
    expect(await trusting.flags()).toEqual(['healthy']);
    await using speaking = await checkedProxy(
      server.port,
      { ...HTTP, tls_options: { alpn_protocols: ['one', 'two'] } },
      tls(pki.ca),
    );
    expect(await speaking.flags()).toEqual(['healthy']);
    expect(offered).toEqual([['http/1.1'], ['one', 'two']]);
    await using doubting = await checkedProxy(server.port, HTTP, tls(pki.otherCa));
    expect(await doubting.flags()).toEqual(['/failed_active_hc']);
  });
});

describe('a check over HTTP/2', () => {
  it('may end when the server drains, and the next one goes to a new connection', async () => {
    let connections = 0;
    await using server = await http2Server((request, response) => {
      // GOAWAY while the check runs; its answer follows.
      request.stream.session?.goaway(0);
      setTimeout(() => response.end(), 5);
    });
    server.onConnection(() => connections++);
    await using proxy = await checkedProxy(server.port, HTTP2);
    await proxy.until('success', (count) => count > 5);
    expect(proxy.check('failure')).toBe(0);
    expect(connections).toBeGreaterThan(5);
  });

  it('fails when the server gives the connection up for an error', async () => {
    await using server = await http2Server((request) => {
      request.stream.session?.goaway(2);
    });
    await using proxy = await checkedProxy(server.port, HTTP2);
    expect(await proxy.flags()).toEqual(['/failed_active_hc']);
    expect(proxy.check('network_failure')).toBeGreaterThan(0);
  });
});
