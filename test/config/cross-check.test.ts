import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/errors.ts';
import { loadConfig } from '../../src/config/load.ts';
import { FilterRegistry } from '../../src/filter/registry.ts';

const registry = new FilterRegistry([], []);
const TCP = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
const MANAGER = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' };

/** The problems of a listener with these network filters, and one cluster called `users`. */
function problemsOf(filters: unknown[]): string[] {
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  const bootstrap = {
    static_resources: { listeners: [{ address, filter_chains: [{ filters }] }], clusters: [{ name: 'users' }] },
  };
  try {
    loadConfig('f', { registry, text: JSON.stringify(bootstrap) });
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message, suggestion }) =>
      [path.replace(/^static_resources\.listeners\[0\]\.filter_chains\[0\]\./, ''), message, suggestion ?? ''].join(
        ' | ',
      ),
    );
  }
}

const tcp = (fields: object) => ({ name: 'tcp', typed_config: { '@type': TCP, stat_prefix: 'a', ...fields } });
const manager = (
  routes: unknown[],
  http_filters: unknown[] = [{ name: 'router', typed_config: ROUTER }],
  rest = {},
) => ({
  name: 'http',
  typed_config: {
    '@type': MANAGER,
    stat_prefix: 'a',
    http_filters,
    route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes }], ...rest },
  },
});
const match = { prefix: '/' };

describe('crossCheck', () => {
  it('finds unknown clusters wherever one may be named', () => {
    expect(problemsOf([tcp({ cluster: 'user' })])).toEqual([
      'filters[0].typed_config.cluster | the cluster "user" does not exist | users',
    ]);
    expect(problemsOf([tcp({ weighted_clusters: { clusters: [{ name: 'nobody', weight: 1 }] } })])).toEqual([
      'filters[0].typed_config.weighted_clusters.clusters[0].name | the cluster "nobody" does not exist | ',
    ]);
    const routes = [
      { match, route: { cluster: 'x' } },
      { match, route: { weighted_clusters: { clusters: [{ name: 'y', weight: 1 }] } } },
      { match, route: { cluster: 'users', request_mirror_policies: [{ cluster: 'z' }] } },
    ];
    expect(problemsOf([manager(routes)]).map((line) => /"(.)"/.exec(line)?.[1])).toEqual(['x', 'y', 'z']);
  });

  it('leaves clusters that a header names, and unchecked route configurations', () => {
    expect(problemsOf([manager([{ match, route: { cluster_header: 'x-cluster' } }])])).toEqual([]);
    expect(
      problemsOf([manager([{ match, route: { cluster: 'x' } }], undefined, { validate_clusters: false })]),
    ).toEqual([]);
  });

  it('wants the terminal filter last, and only there', () => {
    const proxy = tcp({ cluster: 'users' });
    expect(problemsOf([proxy, proxy])).toEqual(['filters[0] | "tcp" ends the chain and must be its last filter | ']);
    const module = {
      name: 'm',
      typed_config: { '@type': 'type.googleapis.com/outrigger.v1.NetworkFilterModule', module: 'm' },
    };
    expect(problemsOf([module])).toEqual(['filters[0] | "m" does not end the chain | ']);
    expect(problemsOf([module, proxy])).toEqual([]);
  });

  it('wants the router as last HTTP filter', () => {
    const router = { name: 'router', typed_config: ROUTER };
    const module = {
      name: 'm',
      typed_config: { '@type': 'type.googleapis.com/outrigger.v1.HttpFilterModule', module: 'm' },
    };
    expect(problemsOf([manager([], [])])).toEqual(['filters[0].typed_config.http_filters | needs the router | ']);
    expect(problemsOf([manager([], [router, module])])).toHaveLength(2);
    expect(problemsOf([manager([], [module, router])])).toEqual([]);
    expect(problemsOf([manager([], [{ ...router, disabled: true }])])).toEqual([
      'filters[0].typed_config.http_filters[0].disabled | the router cannot be disabled | ',
    ]);
  });

  it('bounds bodies of direct responses', () => {
    const routes = [{ match, direct_response: { status: 200, body: { inline_string: 'ä'.repeat(2049) } } }];
    expect(problemsOf([manager(routes)])).toEqual([
      'filters[0].typed_config.route_config.virtual_hosts[0].routes[0].direct_response.body | has 4098 bytes | ',
    ]);
    expect(problemsOf([manager(routes, undefined, { max_direct_response_body_size_bytes: 4098 })])).toEqual([]);
  });
});

it('tells of wrong references together with other faults, but not of what follows from a fault', () => {
  const file = (cluster: Record<string, unknown>) => ({
    static_resources: {
      listeners: [
        {
          adress: 'x',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            { filters: [{ name: 't', typed_config: { '@type': TCP, stat_prefix: 't', cluster: 'user' } }] },
          ],
        },
      ],
      clusters: [cluster],
    },
  });
  const messages = (bootstrap: unknown): string[] => {
    try {
      loadConfig('f', { registry, text: JSON.stringify(bootstrap) });
      return [];
    } catch (error) {
      return (error as ConfigError).problems.map(({ message }) => message);
    }
  };
  expect(messages(file({ name: 'users' }))).toEqual(['unknown field', 'the cluster "user" does not exist']);
  expect(messages(file({ nam: 'user' }))).not.toContain('the cluster "user" does not exist');
});
