import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError, formatProblems, problemsAsJson } from '../../src/config/errors.ts';
import { HTTP_CONNECTION_MANAGER } from '../../src/config/extensions.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import type { HttpConnectionManager } from '../../src/config/schema/http-connection-manager.ts';
import { upstreamHttpOptions } from '../../src/config/schema/upstream-http-options.ts';
import type { TypedConfig } from '../../src/config/typed-config.ts';
import { defineHttpFilter } from '../../src/filter/index.ts';
import { FilterRegistry } from '../../src/filter/registry.ts';
import type { StandardSchemaV1 } from '../../src/filter/standard-schema.ts';

const semantics = { side: 'either', state: 'none', body: 'none' } as const;

/** A schema by hand, as a filter with another validator would bring it. */
const foreignSchema: StandardSchemaV1<unknown, { limit: number }> = {
  '~standard': {
    version: 1,
    vendor: 'by-hand',
    validate: (value) => {
      const { limit } = value as { limit?: unknown };
      if (typeof limit === 'number') return { value: { limit } };
      return { issues: [{ message: 'limit must be a number', path: ['limit'] }] };
    },
  },
};

const registry = new FilterRegistry(
  [
    defineHttpFilter({
      name: 'foreign',
      configType: 'test.Foreign',
      config: foreignSchema,
      semantics,
      create: () => ({}),
    }),
  ],
  [],
);

function load(text: string): LoadedConfig {
  return loadConfig('envoy.yaml', { registry, text });
}

function problems(text: string): string[] {
  try {
    load(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const MANAGER = `type.googleapis.com/${HTTP_CONNECTION_MANAGER}`;
const ROUTER = `{ name: router, typed_config: { '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }`;

function withFilter(filter: string): string {
  return `
static_resources:
  listeners:
    - address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: http
              typed_config:
                '@type': ${MANAGER}
                stat_prefix: a
                route_config: {}
                http_filters:
                  - ${filter}
                  - ${ROUTER}
`;
}

function managerOf(config: LoadedConfig): HttpConnectionManager {
  const filter = config.bootstrap.static_resources.listeners[0]!.filter_chains[0]!.filters[0]!;
  return (filter.typed_config as TypedConfig<HttpConnectionManager>).value;
}

describe('loadConfig', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-load-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('reports all errors at once, in the order of the file, as file:line:col path message', () => {
    expect(
      problems(
        'static_resources:\n  clusters:\n    - { nam: a }\n    - name: b\n      connect_timeout: 5\nadmn: {}\n',
      ).map((line) => line.replace(/; allowed: name, .*;/, ';')),
    ).toEqual([
      'envoy.yaml:3:7  static_resources.clusters[0].name  is required',
      'envoy.yaml:3:9  static_resources.clusters[0].nam  unknown field; did you mean name?',
      'envoy.yaml:5:7  static_resources.clusters[1].connect_timeout  expected a duration, got the number 5; allowed: seconds, as in 5s or 0.25s; did you mean 5s?',
      'envoy.yaml:6:1  admn  unknown field; allowed: node, static_resources, cluster_manager, admin, overload_manager, stats_flush_interval, tracing, enable_dispatcher_stats; did you mean admin?',
    ]);
  });

  it("gives a filter its configuration through the filter's own validator", () => {
    const config = load(
      withFilter("{ name: f, typed_config: { '@type': type.googleapis.com/test.Foreign, limit: 5 } }"),
    );
    expect(managerOf(config).http_filters[0]?.typed_config).toEqual({ type: 'test.Foreign', value: { limit: 5 } });
  });

  it("locates the issues of a filter's own validator", () => {
    const [line] = problems(
      withFilter("{ name: f, typed_config: { '@type': type.googleapis.com/test.Foreign, limit: x } }"),
    );
    expect(line).toBe(
      'envoy.yaml:13:91  static_resources.listeners[0].filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.limit  limit must be a number',
    );
  });

  it('leaves the configuration of a TypeScript filter to its module', () => {
    const filter =
      "{ name: f, typed_config: { '@type': type.googleapis.com/outrigger.v1.HttpFilterModule, module: ./f.ts, config: { a: [1] } } }";
    expect(managerOf(load(withFilter(filter))).http_filters[0]?.typed_config).toEqual({
      type: 'outrigger.v1.HttpFilterModule',
      value: { module: './f.ts', config: { a: [1] } },
    });
  });

  it("fills in Envoy's defaults", () => {
    const config = load(
      withFilter("{ name: f, typed_config: { '@type': type.googleapis.com/test.Foreign, limit: 5 } }").replace(
        'route_config: {}',
        'route_config: { virtual_hosts: [{ name: a, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: c } }] }] }',
      ) + '  clusters: [{ name: c }]\n',
    );
    const manager = managerOf(config);
    expect(manager).toMatchObject({
      codec_type: 'AUTO',
      stream_idle_timeout: 300_000,
      request_timeout: 0,
      drain_timeout: 5000,
      delayed_close_timeout: 1000,
      max_request_headers_kb: 60,
      generate_request_id: true,
      use_remote_address: false,
      server_header_transformation: 'OVERWRITE',
      common_http_protocol_options: { idle_timeout: 3_600_000, max_headers_count: 100 },
      http_protocol_options: { accept_http_10: false, allow_absolute_url: true },
    });
    expect(manager.route_config?.virtual_hosts[0]?.routes[0]).toMatchObject({
      match: { prefix: '/', case_sensitive: true, headers: [] },
      route: { cluster: 'c', timeout: 15_000 },
      request_headers_to_add: [],
    });
    expect(config.bootstrap.static_resources.clusters[0]).toMatchObject({
      type: 'STATIC',
      lb_policy: 'ROUND_ROBIN',
      connect_timeout: 5000,
      per_connection_buffer_limit_bytes: 1_048_576,
      common_lb_config: { healthy_panic_threshold: { value: 50 } },
    });
    expect(config.bootstrap.static_resources.listeners[0]?.per_connection_buffer_limit_bytes).toBe(1_048_576);
  });

  it('gives the same hash for the same content, however it is written', () => {
    const base = load('static_resources: { clusters: [{ name: a, connect_timeout: 1s }] }').hash;
    expect(load('# comment\nstatic_resources:\n  clusters:\n  - connect_timeout: "1s"\n    name: a\n').hash).toBe(base);
    expect(load('{"static_resources":{"clusters":[{"name":"a","connect_timeout":"1s"}]}}').hash).toBe(base);
    expect(load('static_resources: { clusters: [{ name: a, connect_timeout: 2s }] }').hash).not.toBe(base);
  });

  it('locates parts of the validated form in the file afterwards, in either spelling', () => {
    const config = load('staticResources:\n  clusters:\n    - name: a\n      connectTimeout: 1s\n');
    expect(config.locate(['static_resources', 'clusters', 0, 'connect_timeout'])).toEqual({ line: 4, column: 7 });
    expect(config.locate(['static_resources', 'clusters', 0, 'lb_policy'])).toEqual({ line: 3, column: 7 });
  });

  it('reads files, and says which one is missing', () => {
    const file = join(folder, 'a.yaml');
    writeFileSync(file, '\uFEFFstatic_resources: {}\n');
    expect(loadConfig(file, { registry }).file).toBe(file);
    const missing = join(folder, 'missing.yaml');
    expect(() => loadConfig(missing, { registry })).toThrow(`${missing}:1:1  the file does not exist`);
    expect(() => loadConfig(folder, { registry })).toThrow(ConfigError);
  });

  it('refuses what is not there by name, with what to do instead', () => {
    const text = problems(
      'static_resources:\n  secrets: []\n  clusters:\n    - name: a\n      http2_protocol_options: {}\n      transport_socket: { name: quic, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport } }\n',
    ).join('\n');
    expect(text).toContain('static_resources.secrets  is not supported: write certificates where they are used');
    expect(text).toContain('type "envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport" is not known here');
  });

  it('offers the right package for a type with the right message name', () => {
    const type = 'type.googleapis.com/envoy.extensions.filters.http.router.v2.Router';
    expect(problems(withFilter(`{ name: f, typed_config: { '@type': ${type} } }`)).join()).toContain(
      'did you mean envoy.extensions.filters.http.router.v3.Router?',
    );
  });

  it('folds the older append flag of header options into append_action', () => {
    const config = load(
      withFilter("{ name: f, typed_config: { '@type': type.googleapis.com/test.Foreign, limit: 5 } }").replace(
        'route_config: {}',
        'route_config: { request_headers_to_add: [{ header: { key: A, value: b }, append: false }, { header: { key: A }, append: true }] }',
      ),
    );
    const added = managerOf(config).route_config?.request_headers_to_add;
    expect(added?.map((option) => [option.header.key, option.append_action])).toEqual([
      ['a', 'OVERWRITE_IF_EXISTS_OR_ADD'],
      ['a', 'APPEND_IF_EXISTS_OR_ADD'],
    ]);
  });
});

describe('upstreamHttpOptions', () => {
  const cluster = (fields: string) =>
    load(`static_resources: { clusters: [{ name: a, ${fields} }] }`).bootstrap.static_resources.clusters[0]!;

  it('prefers the typed options to the older fields', () => {
    const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
    const typed = `typed_extension_protocol_options: { ${name}: { '@type': type.googleapis.com/${name}, common_http_protocol_options: { idle_timeout: 1s }, explicit_http_config: { http_protocol_options: { enable_trailers: true } } } }`;
    expect(upstreamHttpOptions(cluster(`${typed}, common_http_protocol_options: { idle_timeout: 2s }`))).toMatchObject({
      common: { idle_timeout: 1000 },
      http1: { enable_trailers: true },
    });
    expect(upstreamHttpOptions(cluster('common_http_protocol_options: { idle_timeout: 2s }'))).toMatchObject({
      common: { idle_timeout: 2000 },
      http1: undefined,
    });
  });

  it('tells which protocol a cluster speaks', () => {
    const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
    const typed = (options: string) =>
      `typed_extension_protocol_options: { ${name}: { '@type': type.googleapis.com/${name}, ${options} } }`;
    const protocols = [
      'type: STATIC',
      'http2_protocol_options: {}',
      'http2_protocol_options: {}, protocol_selection: USE_DOWNSTREAM_PROTOCOL',
      typed('explicit_http_config: { http_protocol_options: {} }'),
      typed('explicit_http_config: { http2_protocol_options: {} }'),
      typed('use_downstream_protocol_config: {}'),
    ].map((fields) => upstreamHttpOptions(cluster(fields)).protocol);
    expect(protocols).toEqual(['HTTP1', 'HTTP2', 'DOWNSTREAM', 'HTTP1', 'HTTP2', 'DOWNSTREAM']);
  });

  it("has Envoy's defaults for HTTP/2", () => {
    expect(upstreamHttpOptions(cluster('http2_protocol_options: {}')).http2).toEqual({
      hpack_table_size: 4096,
      max_concurrent_streams: 1024,
      initial_stream_window_size: 16 * 1024 * 1024,
      initial_connection_window_size: 24 * 1024 * 1024,
      allow_connect: false,
      allow_metadata: false,
      max_outbound_frames: 10000,
      max_outbound_control_frames: 1000,
      max_consecutive_inbound_frames_with_empty_payload: 1,
      max_inbound_priority_frames_per_stream: 100,
      max_inbound_window_update_frames_per_data_frame_sent: 10,
      stream_error_on_invalid_http_messaging: false,
      custom_settings_parameters: [],
      enable_huffman_encoding: true,
    });
  });
});

describe('problems', () => {
  const list = [{ line: 1, column: 2, path: 'a["b.c"][0]', message: 'is wrong', allowed: 'right', suggestion: 'left' }];

  it('print as a line for people', () => {
    expect(formatProblems('f.yaml', list)).toBe(
      'f.yaml:1:2  a["b.c"][0]  is wrong; allowed: right; did you mean left?',
    );
  });

  it('print as JSON for programs', () => {
    expect(JSON.parse(problemsAsJson('f.yaml', list))).toEqual({ file: 'f.yaml', problems: list });
  });
});
