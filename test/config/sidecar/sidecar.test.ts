import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { builtinRegistry } from '../../../filters/index.ts';
import { ConfigError } from '../../../src/config/errors.ts';
import { expandText, toYaml } from '../../../src/config/expand.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { expandSidecar } from '../../../src/config/sidecar/index.ts';
import { isSidecarFile } from '../../../src/config/sidecar/is-sidecar-file.ts';

const registry = builtinRegistry();

// biome-ignore lint/suspicious/noExplicitAny: tests look deep into plain data
type Data = any;

function expand(text: string): Data {
  return parse(expandText('sidecar.yaml', text)) as Data;
}

function problems(text: string): string[] {
  try {
    loadConfig('sidecar.yaml', { registry, text });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
}

const base = 'app: 8080\nlisten: 10000\n';
const managerOf = (bootstrap: Data, index = 0): Data =>
  bootstrap.static_resources.listeners[index].filter_chains[0].filters.at(-1).typed_config;
/** The configurations of the HTTP filters before the router. */
const httpFilters = (text: string): Data[] =>
  managerOf(expand(base + text))
    .http_filters.slice(0, -1)
    .map((filter: Data) => filter.typed_config);
const routesOf = (text: string): Data[] => managerOf(expand(base + text)).route_config.virtual_hosts[0].routes;

describe('the form is known by its keys', () => {
  it('a sidecar file has app, listen or the like, and nothing of the bootstrap', () => {
    expect(isSidecarFile({ app: 1 })).toBe(true);
    expect(isSidecarFile({ listeners: [] })).toBe(true);
    expect(isSidecarFile({ static_resources: {}, app: 1 })).toBe(false);
    expect(isSidecarFile({ admin: {} })).toBe(false);
  });
});

describe('addresses', () => {
  const endpoint = (app: string) => expand(`app: ${app}\nlisten: 1\n`).static_resources.clusters[0];

  it.each([
    ['8080', { socket_address: { address: '127.0.0.1', port_value: 8080 } }],
    ['10.0.0.1:80', { socket_address: { address: '10.0.0.1', port_value: 80 } }],
    ["'[::1]:80'", { socket_address: { address: '::1', port_value: 80 } }],
    ['unix:/run/app.sock', { pipe: { path: '/run/app.sock' } }],
    ['/run/app.sock', { pipe: { path: '/run/app.sock' } }],
  ])('%s', (app, address) => {
    const cluster = endpoint(app);
    expect(cluster.type).toBe('STATIC');
    expect(cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address).toEqual(address);
  });

  it('makes names a DNS cluster', () => {
    expect(endpoint('app.internal:80')).toMatchObject({ type: 'STRICT_DNS', respect_dns_ttl: true });
  });

  it.each(['80a', 'host', '"::1:80x"', '70000', '[]', '1.2.3.4:99999'])('refuses %s', (app) => {
    expect(problems(`app: ${app}\nlisten: 1\n`).join()).toMatch(/^sidecar\.yaml:1:\d+ {2}app/);
  });

  it('spreads several endpoints by weight and priority', () => {
    const [first, second] = endpoint('[80, { address: 81, weight: 3 }, { address: 82, priority: 1 }]').load_assignment
      .endpoints;
    expect(first.lb_endpoints.map((item: Data) => item.load_balancing_weight)).toEqual([undefined, 3]);
    expect(second.priority).toBe(1);
  });
});

describe('defaults are friendlier than those of Envoy', () => {
  it('answers HTTP/1.0, keeps the case of header names on both sides, and lets WebSockets through', () => {
    const bootstrap = expand(base);
    const manager = managerOf(bootstrap);
    expect(manager.http_protocol_options.accept_http_10).toBe(true);
    expect(manager.http_protocol_options.header_key_format.stateful_formatter.name).toBe('preserve_case');
    expect(manager.upgrade_configs).toEqual([{ upgrade_type: 'websocket' }]);
    expect(JSON.stringify(bootstrap.static_resources.clusters)).toContain('PreserveCaseFormatterConfig');
  });

  it('and can all be switched off', () => {
    const text =
      'http: { accept_http_10: false, keep_header_case: false, websocket: false, use_remote_address: false, normalize_path: false }\n';
    const bootstrap = expand(base + text);
    expect(Object.keys(managerOf(bootstrap)).sort()).toEqual(['@type', 'http_filters', 'route_config', 'stat_prefix']);
    expect(bootstrap.static_resources.clusters[0].typed_extension_protocol_options).toBeUndefined();
  });
});

describe('filters', () => {
  it('stand in the order of the file, network filters before the connection manager', () => {
    const bootstrap = expand(`${base}filters:
  - buffer: 64KiB
  - connection_limit: 5
  - fault: { abort: { status: 503 } }
  - buffer: { max_bytes: 1MiB }
`);
    const names = bootstrap.static_resources.listeners[0].filter_chains[0].filters.map((filter: Data) => filter.name);
    expect(names).toEqual(['envoy.filters.network.connection_limit', 'envoy.filters.network.http_connection_manager']);
    expect(managerOf(bootstrap).http_filters.map((filter: Data) => filter.name)).toEqual([
      'envoy.filters.http.buffer',
      'envoy.filters.http.fault',
      'envoy.filters.http.buffer.2',
      'envoy.filters.http.router',
    ]);
  });

  it('rbac: all conditions of a rule must hold, each by one of its values', () => {
    const [rbac] = httpFilters(
      'filters: [{ rbac: { deny: [{ name: rule, methods: [get, POST], paths: /a/*, headers: { x: "*b" }, source: 10.0.0.0/8, ports: [80, 90-99], metadata: { "ns:k": "*" } }] } }]\n',
    );
    expect(rbac.rules).toEqual({
      action: 'DENY',
      policies: {
        rule: {
          permissions: [
            {
              and_rules: {
                rules: [
                  {
                    or_rules: {
                      rules: [
                        { header: { name: ':method', string_match: { exact: 'GET' } } },
                        { header: { name: ':method', string_match: { exact: 'POST' } } },
                      ],
                    },
                  },
                  { url_path: { path: { prefix: '/a/' } } },
                  { header: { name: 'x', string_match: { suffix: 'b' } } },
                  { metadata: { filter: 'ns', path: [{ key: 'k' }], value: { present_match: true } } },
                  {
                    or_rules: {
                      rules: [{ destination_port: 80 }, { destination_port_range: { start: 90, end: 100 } }],
                    },
                  },
                ],
              },
            },
          ],
          principals: [{ remote_ip: { address_prefix: '10.0.0.0', prefix_len: 8 } }],
        },
      },
    });
  });

  it('rbac: repeats a rule with numbers, for measurements', () => {
    const [rbac] = httpFilters(
      'filters: [{ rbac: { allow: [{ name: "u{n}", headers: { x: "v{n}" }, repeat: 3 }] } }]\n',
    );
    expect(Object.keys(rbac.rules.policies)).toEqual(['u1', 'u2', 'u3']);
    expect(JSON.stringify(rbac.rules.policies.u3)).toContain('"exact":"v3"');
  });

  it('rbac: shadow rules deny nothing', () => {
    const [rbac] = httpFilters('filters: [{ rbac: { deny: [{ any: true }], shadow: true, stat_prefix: s } }]\n');
    expect(rbac).toMatchObject({ shadow_rules: { action: 'DENY' }, shadow_rules_stat_prefix: 's' });
    expect(rbac.rules).toBeUndefined();
  });

  it('rate_limit: a bucket that is enforced for all requests', () => {
    const [limit] = httpFilters('filters: [{ rate_limit: { requests: 10, per: 1m, burst: 20, status: 503 } }]\n');
    expect(limit.token_bucket).toEqual({ max_tokens: 20, tokens_per_fill: 10, fill_interval: '60s' });
    expect(limit.filter_enforced.default_value).toEqual({ numerator: 100, denominator: 'HUNDRED' });
    expect(limit.status).toEqual({ code: 503 });
  });

  it('header_read: headers and cookies, alone or in a list', () => {
    const [one] = httpFilters('filters: [{ header_read: X-User }]\n');
    expect(one.request_rules).toEqual([
      { header: 'x-user', on_header_present: { metadata_namespace: 'outrigger', key: 'x-user' } },
    ]);
    const [many] = httpFilters('filters: [{ header_read: [{ cookie: sid, as: s, default: none }] }]\n');
    expect(many.request_rules).toEqual([
      {
        cookie: 'sid',
        on_header_present: { metadata_namespace: 'outrigger', key: 's' },
        on_header_missing: { metadata_namespace: 'outrigger', key: 's', value: 'none' },
      },
    ]);
  });

  it('ip_tag: ranges by name, repeated when asked', () => {
    const [tags] = httpFilters('filters: [{ ip_tag: { tags: { a: [10.0.0.0/8, "::1"] }, repeat: 2, header: x-t } }]\n');
    expect(tags.ip_tags.map((tag: Data) => tag.ip_tag_name)).toEqual(['a-1', 'a-2']);
    expect(tags.ip_tags[0].ip_list).toEqual([
      { address_prefix: '10.0.0.0', prefix_len: 8 },
      { address_prefix: '::1', prefix_len: 128 },
    ]);
    expect(tags.ip_tag_header).toEqual({ header: 'x-t', action: 'SANITIZE' });
  });

  it('header_mutation: set, add, default and remove', () => {
    const [mutation] = httpFilters(
      'filters: [{ header_mutation: { request: { remove: [x], set: { a: b }, add: { c: d }, default: { e: f } } } }]\n',
    );
    expect(mutation.mutations.request_mutations).toEqual([
      { remove: 'x' },
      { append: { header: { key: 'a', value: 'b' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
      { append: { header: { key: 'c', value: 'd' }, append_action: 'APPEND_IF_EXISTS_OR_ADD' } },
      { append: { header: { key: 'e', value: 'f' }, append_action: 'ADD_IF_ABSENT' } },
    ]);
  });

  it('fault: shares with decimals', () => {
    const [fault] = httpFilters('filters: [{ fault: { delay: { for: 10ms, percent: 0.25 } } }]\n');
    expect(fault.delay).toEqual({ fixed_delay: '0.01s', percentage: { numerator: 2500, denominator: 'MILLION' } });
  });

  it('cors: the policy goes to the virtual host', () => {
    const manager = managerOf(expand(`${base}filters: [{ cors: { origins: "https://*", max_age: 1h } }]\n`));
    expect(manager.route_config.virtual_hosts[0].typed_per_filter_config['envoy.filters.http.cors']).toMatchObject({
      allow_origin_string_match: [{ prefix: 'https://' }],
      max_age: '3600',
    });
  });

  it('module: a TypeScript filter is called like its file', () => {
    const manager = managerOf(expand(`${base}filters: [{ module: ./my/stamp.ts, config: { a: 1 } }]\n`));
    expect(manager.http_filters[0]).toEqual({
      name: 'stamp',
      typed_config: {
        '@type': 'type.googleapis.com/outrigger.v1.HttpFilterModule',
        module: './my/stamp.ts',
        config: { a: 1 },
      },
    });
  });

  it('takes a filter in canonical form as it is', () => {
    const filter =
      '{ name: b, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer, max_request_bytes: 5 } }';
    expect(httpFilters(`filters: [${filter}]\n`)[0].max_request_bytes).toBe(5);
  });

  it('access_log: a file, a stream, text or JSON, also as an entry of the list', () => {
    const manager = managerOf(
      expand(
        `${base}access_log: [stdout, { to: /a.log, format: "%PROTOCOL%" }]\nfilters: [{ access_log: { to: stderr, json: true } }]\n`,
      ),
    );
    expect(manager.access_log.map((log: Data) => log.name)).toEqual([
      'envoy.access_loggers.stdout',
      'envoy.access_loggers.file',
      'envoy.access_loggers.stderr',
    ]);
    expect(manager.access_log[1].typed_config.log_format.text_format_source.inline_string).toBe('%PROTOCOL%\n');
    expect(manager.access_log[2].typed_config.log_format.json_format.status).toBe('%RESPONSE_CODE%');
  });
});

describe('routes', () => {
  it('come in order, and the app takes the rest', () => {
    const routes = routesOf('routes: [{ path: /a, respond: { status: 204 } }]\ntimeout: 3s\nretries: 1\n');
    expect(routes).toEqual([
      { match: { path: '/a' }, direct_response: { status: 204 } },
      {
        match: { prefix: '/' },
        route: {
          cluster: 'app',
          timeout: '3s',
          retry_policy: { retry_on: 'connect-failure,refused-stream,reset-before-request', num_retries: 1 },
        },
      },
    ]);
  });

  it('split by weight, rewrite, and override timeout and retries', () => {
    const [route] = routesOf(
      'timeout: 3s\nupstreams: { b: 81 }\nroutes: [{ path: /v*, to: { app: 1, b: 2 }, rewrite: /, host: h, timeout: 0, retries: 0 }]\n',
    );
    expect(route).toEqual({
      match: { prefix: '/v' },
      route: {
        weighted_clusters: {
          clusters: [
            { name: 'app', weight: 1 },
            { name: 'b', weight: 2 },
          ],
        },
        prefix_rewrite: '/',
        host_rewrite_literal: 'h',
        timeout: '0s',
      },
    });
  });

  it.each([
    [
      'https://a.example:8443/x',
      { scheme_redirect: 'https', host_redirect: 'a.example', port_redirect: 8443, path_redirect: '/x' },
    ],
    ['https://a.example', { scheme_redirect: 'https', host_redirect: 'a.example' }],
    ['/x', { path_redirect: '/x' }],
  ])('redirect to %s', (target, redirect) => {
    expect(routesOf(`routes: [{ redirect: "${target}" }]\n`)[0].redirect).toEqual(redirect);
  });
});

describe('several listeners', () => {
  it('have their own apps and share upstreams', () => {
    const bootstrap = expand(`
listeners:
  - { name: in, listen: 1, app: 2 }
  - { name: out, listen: 3, routes: [{ to: users }] }
upstreams: { users: 4 }
`);
    expect(bootstrap.static_resources.clusters.map((cluster: Data) => cluster.name)).toEqual(['users', 'in-app']);
    expect(managerOf(bootstrap, 1).route_config.virtual_hosts[0].routes).toHaveLength(1);
  });
});

describe('errors keep the paths and places of the sidecar file', () => {
  it.each([
    ['app: 1\nlisten: 2\nfilter: []\n', '3:1  filter  unknown field'],
    ['app: 1\nlisten: 2\nfilters:\n  - ratelimit: {}\n', '4:5  filters[0].ratelimit  unknown filter; allowed: rbac,'],
    [
      'app: 1\nlisten: 2\nfilters:\n  - rate_limit: { requests: 0 }\n',
      '4:19  filters[0].rate_limit.requests  0 is out of range',
    ],
    ['app: 1\nlisten: 2\nfilters:\n  - buffer: lots\n', '4:5  filters[0].buffer  expected a size'],
    [
      'app: 1\nlisten: 2\nfilters:\n  - { buffer: 1, fault: {} }\n',
      '4:5  filters[0]  an entry names exactly one filter',
    ],
    ['app: 1\nlisten: 2\nfilters:\n  - cors\n', '4:5  filters[0]  expected a map'],
    [
      'app: 1\nlisten: 2\nfilters:\n  - rbac: { deny: [{ name: x }] }\n',
      '4:20  filters[0].rbac.deny[0]  the rule has no condition',
    ],
    [
      'app: 1\nlisten: 2\nfilters:\n  - rbac: { deny: [{ source: 10.0.0.0/33 }] }\n',
      '4:22  filters[0].rbac.deny[0].source  the string "10.0.0.0/33" is not an address range',
    ],
    ['app: 1\nlisten: 2\nprotocol: tcp\nfilters:\n  - buffer: 1KiB\n', '5:5  filters[0].buffer  needs HTTP'],
    ['app: 1\nlisten: 2\nprotocol: tcp\ntimeout: 1s\n', '4:1  timeout  needs protocol: http'],
    [
      'app: 1\nlisten: 2\nprotocol: udp\n',
      '3:1  protocol  the string "udp" is not one of the values; allowed: HTTP, TCP',
    ],
    ['listen: 2\n', '1:1  app  is required, or routes'],
    ['listen: 2\nroutes:\n  - to: nowhere\n', '3:5  routes[0]  the cluster "nowhere" does not exist'],
    [
      'app: 1\nlisten: 2\nroutes:\n  - { path: "~(", to: app }\n',
      '4:5  routes[0]  is not a regular expression in RE2 syntax',
    ],
    [
      'app: 1\nlisten: 2\nroutes:\n  - { path: /a*b, to: app }\n',
      '4:7  routes[0].path  the string "/a*b" has a star in the middle',
    ],
    ['app: 1\nlisten: 2\nroutes:\n  - { redirect: /x, timeout: 1s }\n', '4:21  routes[0].timeout  needs "to"'],
    [
      'app: 1\nlisten: 2\naccess_log: { to: stdout, format: "%NOPE%" }\n',
      '3:1  access_log  %NOPE% at column 1: unknown operator',
    ],
    ['app: 1\nlisten: localhost:2\n', '2:1  listen  "localhost" is not an IP address; did you mean 127.0.0.1?'],
    [
      'listeners: [{ name: a, listen: 1, app: 1 }]\napp: 2\n',
      '2:1  app  is not supported: write it at each of the listeners',
    ],
    [
      'listeners:\n  - { name: a, listen: 1, app: 1 }\n  - { name: a, listen: 2, app: 1 }\n',
      '3:7  listeners[1].name  a listener "a" exists already',
    ],
  ])('%j', (text, expected) => {
    expect(problems(text).join('\n')).toContain(`sidecar.yaml:${expected}`);
  });

  it('reports several at once', () => {
    expect(problems('app: x\nlisten: y\nfilters: [{ buffer: z }]\n')).toHaveLength(3);
  });

  it('throws from expandSidecar with all of them', () => {
    expect(() => expandSidecar({ app: 'x', listen: 'y' })).toThrow(/listen: .*\napp: /s);
  });
});

describe('toYaml', () => {
  it('quotes texts that a parser could take for something else', () => {
    const data = { on: 'yes', a: 'off', b: '1', c: '0x1', d: 'null', e: 'y', f: '1e3', g: '1:30', h: '' };
    expect(parse(toYaml(data), { version: '1.1' })).toEqual(data);
    expect(parse(toYaml(data))).toEqual(data);
  });
});
