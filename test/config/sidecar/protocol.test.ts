import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { builtinRegistry } from '../../../filters/index.ts';
import { expandText } from '../../../src/config/expand.ts';
import { loadConfig } from '../../../src/config/load.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look deep into plain data
type Data = any;

const registry = builtinRegistry();
const expand = (text: string): Data => parse(expandText('sidecar.yaml', text)).static_resources;
const managerOf = (text: string, index = 0): Data =>
  expand(text).listeners[index].filter_chains[0].filters.at(-1).typed_config;
const routeOf = (text: string): Data => managerOf(text).route_config.virtual_hosts[0].routes[0].route;
const protocolsOf = (text: string): Data =>
  Object.fromEntries(
    expand(text).clusters.map((cluster: Data) => {
      const options = Object.values<Data>(cluster.typed_extension_protocol_options ?? {})[0] ?? {};
      const { '@type': _, common_http_protocol_options: __, ...chosen } = options;
      const [[key, value] = ['none', {}]] = Object.entries<Data>(chosen);
      return [cluster.name, [key, ...Object.keys(value)]];
    }),
  );
const base = 'app: 8080\nlisten: 10000\n';

describe('what clients speak', () => {
  it.each([
    ['', undefined],
    ['protocol: http\n', undefined],
    ['protocol: grpc\n', undefined],
    ['protocol: http1\n', 'HTTP1'],
    ['protocol: http2\n', 'HTTP2'],
  ])('%j', (text, codec) => {
    expect(managerOf(base + text).codec_type).toBe(codec);
  });

  it('lets WebSockets over HTTP/2 through where it lets WebSockets through', () => {
    expect(managerOf(base).http2_protocol_options).toEqual({ allow_connect: true });
    expect(managerOf(`${base}http: { websocket: false }\n`).http2_protocol_options).toBeUndefined();
  });

  it('bounds streams and pings clients', () => {
    expect(managerOf(`${base}http: { max_concurrent_streams: 5, keepalive: 1m }\n`).http2_protocol_options).toEqual({
      max_concurrent_streams: 5,
      allow_connect: true,
      connection_keepalive: { interval: '60s', timeout: '20s' },
    });
  });
});

describe('what upstreams speak', () => {
  const http1 = ['explicit_http_config', 'http_protocol_options'];
  const http2 = ['explicit_http_config', 'http2_protocol_options'];

  it.each([
    ['', http1],
    ['protocol: http1\n', http1],
    ['protocol: http2\n', http2],
    ['protocol: grpc\n', http2],
  ])('is HTTP/1.1, or follows the listener: %j', (text, expected) => {
    const upstreams = 'upstreams: { other: 81 }\nroutes: [{ path: /, to: other }]\n';
    expect(protocolsOf(base + text + upstreams)).toEqual({ app: expected, other: expected });
  });

  it('is HTTP/1.1 for upstreams that several listeners share, unless all of them speak HTTP/2', () => {
    const shared = (second: string) =>
      `listeners: [{ name: a, listen: 1, app: 2, protocol: grpc }, { name: b, listen: 3, app: 4, protocol: ${second} }]\nupstreams: { c: 5 }\n`;
    expect(protocolsOf(shared('http')).c).toEqual(http1);
    expect(protocolsOf(shared('http2')).c).toEqual(http2);
    expect(protocolsOf(shared('tcp')).c).toEqual(http2);
  });

  it('is what is written at the upstream', () => {
    const app = (protocol: string) =>
      protocolsOf(`app: { address: 1, protocol: ${protocol} }\nlisten: 2\nprotocol: grpc\n`).app;
    expect(app('http1')).toEqual(http1);
    expect(app('http2')).toEqual(http2);
    expect(app('auto')).toEqual(['use_downstream_protocol_config', 'http_protocol_options', 'http2_protocol_options']);
  });

  it('is nothing for bytes', () => {
    const text = 'app: { address: 1, protocol: http2 }\nlisten: 2\nprotocol: tcp\n';
    expect(() => loadConfig('sidecar.yaml', { registry, text })).toThrow('app.protocol  needs protocol: http');
  });
});

describe('gRPC', () => {
  it('has no limit but the deadline of the call, unless there is a timeout', () => {
    const grpc = `${base}protocol: grpc\n`;
    expect(routeOf(grpc)).toEqual({
      cluster: 'app',
      max_stream_duration: { grpc_timeout_header_max: '0s' },
    });
    expect(routeOf(`${grpc}timeout: 3s\n`)).toEqual({
      cluster: 'app',
      max_stream_duration: { max_stream_duration: '3s', grpc_timeout_header_max: '3s' },
    });
  });

  it('retries what gRPC calls safe to retry', () => {
    const retryOn = (text: string) => routeOf(`${base}protocol: grpc\n${text}`).retry_policy.retry_on;
    expect(retryOn('retries: 2\n')).toBe('connect-failure,refused-stream,unavailable,cancelled');
    expect(retryOn('retries: { on: internal }\n')).toBe('internal');
  });
});

test('figures of calls by the methods that are named', () => {
  const configOf = (config: string) =>
    managerOf(`${base}filters: [{ grpc_stats: ${config} }]\n`).http_filters[0].typed_config;
  const type = 'type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig';
  expect(configOf('{}')).toEqual({ '@type': type });
  expect(configOf('{ methods: "*", time: true }')).toEqual({
    '@type': type,
    stats_for_all_methods: true,
    enable_upstream_stats: true,
  });
  expect(configOf('{ methods: [a.B/C, /a.B/D, x.Y/Z] }')).toEqual({
    '@type': type,
    individual_method_stats_allowlist: {
      services: [
        { name: 'a.B', method_names: ['C', 'D'] },
        { name: 'x.Y', method_names: ['Z'] },
      ],
    },
  });
});
