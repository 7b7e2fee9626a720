import { describe, expect, it } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { applyPolicies, type Placement } from '../../policies/apply.ts';
import { parsePolicies } from '../../policies/file.ts';
import type { Canonical } from '../../policies/policy.ts';
import { loadConfig } from '../../src/config/load.ts';
import { expandSidecar } from '../../src/config/sidecar/index.ts';

function policy(kind: string, spec: object, name = 'a'): string {
  return `apiVersion: outrigger.dev/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${JSON.stringify(spec)}\n---\n`;
}

const SCOPE = policy('Sidecar', { egress: [{ hosts: ['a.test'], ports: [80] }, { ports: [5432] }] });
const READ = policy('AuthorizationPolicy', { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }, 'read');
const SECRET = policy(
  'AuthorizationPolicy',
  { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/s'] } }] }] },
  'secret',
);
const LOG = policy('AccessLog', { to: 'stdout' });
const LIMITS = policy('CircuitBreaker', { limits: { maxConnections: 7 } });
const BUDGET = policy('RetryPolicy', { budget: { percent: 50 } });
const TLS = policy('PeerAuthentication', {
  mode: 'PERMISSIVE',
  certificate: { chain: 'c', key: 'k' },
  trustedCa: 'ca',
});

const HTTP = { listen: 8080, app: '127.0.0.1:3000' };

function apply(file: object, text: string, placement: Placement = {}): Canonical {
  const base = 'static_resources' in file || 'staticResources' in file ? (file as Canonical) : expandSidecar(file);
  const before = structuredClone(base);
  const { bootstrap } = applyPolicies(base, parsePolicies('p.yaml', text), placement);
  expect(base).toEqual(before);
  return bootstrap;
}

// biome-ignore lint/suspicious/noExplicitAny: plain data of any form
const dig = (bootstrap: Canonical): any => (bootstrap.static_resources ?? bootstrap.staticResources) as any;
// biome-ignore lint/suspicious/noExplicitAny: likewise
const manager = (bootstrap: Canonical): any => dig(bootstrap).listeners[0].filter_chains[0].filters.at(-1).typed_config;
const filterNames = (bootstrap: Canonical): string[] =>
  manager(bootstrap).http_filters.map(({ name }: { name: string }) =>
    name.replace(/^(envoy\.filters\.http|outrigger\.policy)\./, ''),
  );

describe('policies in a configuration', () => {
  it('put their filters in front of those of the file, each in its phase', () => {
    const file = { ...HTTP, filters: [{ health_check: { path: '/healthz' } }, { buffer: 1024 }] };
    expect(filterNames(apply(file, READ + SECRET + SCOPE))).toEqual([
      'health_check',
      'sidecar',
      'deny',
      'allow',
      'buffer',
      'router',
    ]);
  });

  it('make one filter of several of a kind', () => {
    const more = policy('AuthorizationPolicy', { rules: [{ to: [{ operation: { methods: ['HEAD'] } }] }] }, 'head');
    const { rules } = manager(apply(HTTP, READ + more)).http_filters[0].typed_config;
    expect(Object.keys(rules.policies)).toEqual(['default/read/0', 'default/head/0']);
  });

  it('go into a file once', () => {
    expect(() => apply(apply(HTTP, READ), SECRET + READ)).toThrow(
      'a filter "outrigger.policy.allow" is in the file already',
    );
  });

  it('take a file in camelCase too', () => {
    const camel = JSON.parse(
      JSON.stringify(expandSidecar(HTTP)).replaceAll(/"([a-z]+)_([a-z_]+)":/g, (key) =>
        key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      ),
    );
    expect(camel).toHaveProperty('staticResources');
    const made = apply(camel, READ + LOG + LIMITS + BUDGET);
    expect(filterNames(made)).toEqual(['allow', 'router']);
    expect(() => loadConfig('x.yaml', { registry: builtinRegistry(), text: JSON.stringify(made) })).not.toThrow();
  });

  it('add to the thresholds of a cluster what the file leaves open', () => {
    const made = apply({ ...HTTP, app: { address: '127.0.0.1:3000', max_requests: 9 } }, LIMITS + BUDGET);
    expect(dig(made).clusters[0].circuit_breakers).toEqual({
      thresholds: [
        {
          max_requests: 9,
          max_connections: 7,
          retry_budget: { budget_percent: { value: 50 }, min_retry_concurrency: 3 },
        },
      ],
    });
  });

  it('replace nothing that the file or another policy says', () => {
    const file = { ...HTTP, app: { address: '127.0.0.1:3000', max_connections: 9 } };
    expect(() => apply(file, LIMITS)).toThrow('CircuitBreaker default/a: cluster app has max_connections already');
    const other = policy('CircuitBreaker', { limits: { maxConnections: 8 } }, 'b');
    expect(() => apply(HTTP, LIMITS + other)).toThrow(
      'CircuitBreaker default/b: cluster app has max_connections already',
    );
  });

  it('are for the clusters that they name', () => {
    const file = { ...HTTP, upstreams: { reviews: '127.0.0.1:3001' } };
    const only = (name: string) => policy('CircuitBreaker', { destinations: [name], limits: { maxConnections: 7 } });
    const limited = dig(apply(file, only('reviews'))).clusters.filter(
      (one: Canonical) => one.circuit_breakers !== undefined,
    );
    expect(limited.map((one: Canonical) => one.name)).toEqual(['reviews']);
    expect(() => apply(file, only('rviews'))).toThrow('there is no cluster "rviews"; the file has reviews, app');
  });

  it('leave the services that policies call alone', () => {
    const traces = policy('Tracing', { service: 's', otlp: { address: 4317 } });
    const [app, collector] = dig(apply(HTTP, traces + LIMITS)).clusters;
    expect(app.circuit_breakers).toBeDefined();
    expect(collector).not.toHaveProperty('circuit_breakers');
  });

  it('let connections without HTTP pass by the ports of a scope alone', () => {
    const tcp = apply({ ...HTTP, protocol: 'tcp' }, SCOPE + LOG);
    const { filters } = dig(tcp).listeners[0].filter_chains[0];
    const { policies } = filters[0].typed_config.rules;
    expect(Object.values(policies as Record<string, Canonical>).map(({ permissions }) => permissions)).toEqual([
      [{ destination_port: 5432 }],
    ]);
    expect(filters.at(-1).typed_config.access_log).toHaveLength(1);
  });

  it('double the chains where plain text is allowed beside TLS', () => {
    const [listener] = dig(apply(HTTP, TLS)).listeners;
    expect(
      listener.filter_chains.map((chain: Canonical) => [chain.filter_chain_match, 'transport_socket' in chain]),
    ).toEqual([
      [{ transport_protocol: 'tls' }, true],
      [{ transport_protocol: 'raw_buffer' }, false],
    ]);
    expect(listener.listener_filters).toHaveLength(1);
  });

  it('are refused where a listener speaks no HTTP and could not enforce them', () => {
    const tcp = { ...HTTP, protocol: 'tcp' };
    for (const one of [READ, BUDGET, policy('Tracing', { service: 's', otlp: { address: 4317 } })]) {
      expect(() => apply(tcp, one)).toThrow('listener sidecar speaks no HTTP, so nothing there could enforce it');
    }
    const callers = (action: string) =>
      policy(
        'AuthorizationPolicy',
        { action, rules: [{ from: [{ source: { ipBlocks: ['10.0.0.0/8'] } }] }] },
        action.toLowerCase(),
      );
    const { filters } = dig(apply(tcp, callers('ALLOW') + callers('DENY') + TLS)).listeners[0].filter_chains[0];
    expect(filters.map(({ name }: Canonical) => name)).toEqual([
      'outrigger.policy.deny',
      'outrigger.policy.allow',
      'envoy.filters.network.tcp_proxy',
    ]);
  });

  it('hold on routes that say something themselves, or are refused there', () => {
    const retried = {
      ...HTTP,
      routes: [{ path: '/a', to: 'app', retries: 1 }],
      upstreams: { app: 3001 },
      app: undefined,
    };
    expect(() => apply(retried, BUDGET)).toThrow(
      'RetryPolicy default/a: route 0 of virtual host all has retry_policy already',
    );
    const base = expandSidecar(HTTP);
    const [host] = manager(base).route_config.virtual_hosts;
    host.routes[0].route.rate_limits = [{ actions: [{ remote_address: {} }] }];
    const limit = {
      domain: 'd',
      service: { address: 8081 },
      limits: [{ by: { value: 'all' }, requests: 1, per: 'day' }],
    };
    const [made] = manager(apply(base, policy('RateLimit', limit))).route_config.virtual_hosts;
    expect(made.routes[0].route.include_vh_rate_limits).toBe(true);
    expect(made.rate_limits).toHaveLength(1);
  });

  it('judge the path that the app gets', () => {
    const paths = policy('AuthorizationPolicy', { rules: [{ to: [{ operation: { paths: ['/a*'] } }] }] });
    const base = expandSidecar({ ...HTTP, http: { normalize_path: false } });
    expect(manager(apply(base, paths)).normalize_path).toBe(true);
    manager(base).normalize_path = false;
    expect(() => apply(base, paths)).toThrow('listener sidecar has normalize_path already');
  });

  it('offer the versions of HTTP that the listener speaks in the handshake', () => {
    const alpn = (protocol: string) => {
      const [chain] = dig(apply({ ...HTTP, protocol }, TLS)).listeners[0].filter_chains;
      return chain.transport_socket.typed_config.common_tls_context.alpn_protocols;
    };
    expect([alpn('http'), alpn('http1'), alpn('tcp')]).toEqual([['h2', 'http/1.1'], ['http/1.1'], undefined]);
  });

  it('take out what the workload cannot see: its virtual hosts, and clusters that only they name', () => {
    const base = expandSidecar({ ...HTTP, upstreams: { seen: 3001, shared: 3002, unseen: 3003 } });
    const route = (cluster: string) => ({ match: { prefix: '/' }, route: { cluster } });
    manager(base).route_config.virtual_hosts.push(
      { name: 'a', domains: ['x.test', 'A.test:8080'], routes: [route('seen'), route('shared')] },
      { name: 'b', domains: ['b.test', '*.b.test'], routes: [route('unseen'), route('shared')] },
      { name: 'c', domains: ['*.wide.test'], routes: [route('seen')] },
    );
    const scope = policy('Sidecar', { egress: [{ hosts: ['a.test', 'deep.wide.test'] }] });
    const made = apply(base, scope);
    expect(manager(made).route_config.virtual_hosts.map((host: Canonical) => host.name)).toEqual(['all', 'a', 'c']);
    expect(dig(made).clusters.map((cluster: Canonical) => cluster.name)).toEqual(['seen', 'shared', 'app']);
    const wider = apply(base, scope + policy('Sidecar', { egress: [{ hosts: ['*.test'] }] }, 'b'));
    expect(manager(wider).route_config.virtual_hosts).toHaveLength(4);
  });

  it('are for the listeners that are asked for', () => {
    const file = { listeners: ['one', 'two'].map((name, index) => ({ name, listen: 8080 + index, app: 3000 })) };
    const { listeners } = dig(apply(file, LOG, { listeners: ['two'] }));
    const [one, two] = listeners;
    expect(JSON.stringify(one)).not.toContain('access_log');
    expect(JSON.stringify(two)).toContain('access_log');
    expect(() => apply(file, LOG, { listeners: ['three'] })).toThrow(
      'there is no such listener; the file has one, two',
    );
  });

  it('are left out where they select other workloads', () => {
    const shop = READ.replace('spec: {', 'spec: {"selector":{"matchLabels":{"app":"shop"}},');
    const policies = parsePolicies('p.yaml', shop);
    const applied = (labels: Record<string, string>) => applyPolicies(expandSidecar(HTTP), policies, { labels });
    expect(filterNames(applied({ app: 'shop' }).bootstrap)).toEqual(['allow', 'router']);
    expect(filterNames(applied({ app: 'bank' }).bootstrap)).toEqual(['router']);
    expect(applied({ app: 'bank' }).skipped).toEqual(policies);
  });
});
