import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import {
  CONFIGURATIONS,
  type Configuration,
  selectConfigurations,
} from '../../../bench/characterize/configurations.ts';
import { scenarioOf } from '../../../bench/characterize/plan.ts';
import { envoyConfig } from '../../../bench/scenario-config.ts';

/** Files of envoy_filters/policies in the public benchmark of the paper, without `envoy-` and `.yaml`. */
const PUBLIC =
  'header_metadata header_router http http_inspect http_mix iprate_iptag iptag iptag_10 iptag_5 logging ratelimit ' +
  'rbac_accept_all rbac_reject_1 rbac_reject_100 rbac_reject_1000 rbac_reject_10000 routing_2 sql sql-admin sql-rbac ' +
  'tcp tls tls_http';

/** §4 of the paper: eleven, of which RBAC has four variants and IP Tag three. */
const PAPER = [
  ...['TCP', 'RBAC Accept All', 'RBAC Reject 1', 'RBAC Reject 100', 'RBAC Reject 1000', 'SQL', 'HTTP', 'Header Read'],
  ...['Ratelimit', 'IP Tag 1', 'IP Tag 5', 'IP Tag 10', 'Logging', 'TLS', 'HTTP Mix 1', 'HTTP Mix 2'],
];

const OPEN = ['sql', 'sql-rbac', 'sql-admin'];

function named(name: string): Configuration {
  return CONFIGURATIONS.find((one) => one.name === name) as Configuration;
}

interface Canonical {
  readonly listener_filters?: readonly unknown[];
  readonly filter_chains: readonly [{ readonly transport_socket?: unknown; readonly filters: readonly Filter[] }];
}

interface Filter {
  readonly name: string;
  readonly typed_config: Readonly<Record<string, unknown>> & { readonly http_filters?: readonly Filter[] };
}

function listenerOf(name: string): Canonical {
  const scenario = scenarioOf(named(name));
  if (scenario === undefined) throw new Error(`${name} is open`);
  const fixtures = { folder: '/nowhere', jwks: '', token: '' };
  const run = { scenario, listenPort: 21_001, backendPort: 21_002, directory: '.', fixtures };
  return parse(envoyConfig(run)).static_resources.listeners[0];
}

/** Everything that a configuration does to a message, each with its settings; tags by how many there are. */
function workOf(name: string): string[] {
  const { listener_filters = [], filter_chains } = listenerOf(name);
  const [{ transport_socket, filters }] = filter_chains;
  const { http_filters = [], access_log = [] } = filters.at(-1)?.typed_config ?? {};
  const work = [transport_socket, ...listener_filters, ...filters.slice(0, -1), ...http_filters, access_log]
    .flat()
    .filter((one) => one !== undefined);
  return work.map((one) => JSON.stringify(one).replaceAll(/"loopback(-\d+)?"/g, '"loopback"')).sort();
}

/** What is in the one list and not in the other, as often as it is. */
function without(work: readonly string[], less: readonly string[]): string[] {
  const rest = [...work];
  for (const one of less) {
    const at = rest.indexOf(one);
    if (at >= 0) rest.splice(at, 1);
  }
  return rest;
}

describe('the configurations', () => {
  it('are those of the public benchmark, and open rows say what they wait for', () => {
    const names = CONFIGURATIONS.filter(({ isPublic }) => isPublic).map(({ name }) => name);
    expect(names.toSorted()).toEqual(PUBLIC.split(' ').toSorted());
    const open = CONFIGURATIONS.filter((one) => one.open !== undefined);
    expect(open.map(({ name }) => name)).toEqual(OPEN);
    for (const one of open) expect([one.open, one.scenario]).toEqual(['follows with the SQL filters', undefined]);
  });

  it('begin with those of the paper, as it calls them', () => {
    const own = CONFIGURATIONS.filter(({ inPaper }) => inPaper);
    expect(own.map(({ title }) => title)).toEqual(PAPER);
    expect(CONFIGURATIONS.slice(0, PAPER.length)).toEqual(own);
  });

  it('have one name each, a scenario that the benchmark has, and a base of their own protocol', () => {
    expect(new Set(CONFIGURATIONS.map(({ name }) => name)).size).toBe(CONFIGURATIONS.length);
    for (const configuration of CONFIGURATIONS) {
      const { name, base, protocol, open } = configuration;
      if (open === undefined) expect(scenarioOf(configuration)?.protocol, name).toBe(protocol);
      if (base === undefined) expect(['tcp', 'http']).toContain(name);
      else expect(named(base)).toMatchObject({ protocol, parts: [] });
    }
  });

  it.each(CONFIGURATIONS.filter(({ parts }) => parts.length > 0))(
    '$name does what its parts do, with the same settings, and nothing else',
    ({ name, base, parts }) => {
      const added = parts.flatMap((part) => without(workOf(part), workOf(named(part).base as string)));
      expect(added.length).toBe(parts.length);
      expect(without(workOf(name), workOf(base as string)).toSorted()).toEqual(added.toSorted());
    },
  );

  it('that are no mix add one thing to their base, but the routes', { timeout: 60_000 }, () => {
    const single = CONFIGURATIONS.filter(({ open, base, parts }) => !open && base !== undefined && parts.length === 0);
    for (const { name, base } of single) {
      const added = without(workOf(name), workOf(base as string));
      expect(added, name).toHaveLength(['routing_2', 'header_router'].includes(name) ? 0 : 1);
    }
  });

  it('speak HTTP alike, whatever they add', () => {
    const plain = (name: string) => {
      const manager = listenerOf(name).filter_chains[0].filters.at(-1) as Filter;
      const { route_config, http_filters, access_log, ...rest } = manager.typed_config;
      return rest;
    };
    const http = CONFIGURATIONS.filter(({ protocol }) => protocol === 'http');
    for (const { name } of http) expect(plain(name), name).toEqual(plain('http'));
  });
});

describe('a selection of configurations', () => {
  const names = (selection: string[]) => selectConfigurations(selection).map(({ name }) => name);

  it('names them, the paper, or patterns, and comes out in the order of the table', () => {
    expect(names(['ratelimit', 'http', 'iptag*'])).toEqual(['http', 'ratelimit', 'iptag', 'iptag_5', 'iptag_10']);
    expect(names(['paper'])).toHaveLength(PAPER.length);
    expect(names(['all'])).toHaveLength(CONFIGURATIONS.length);
  });

  it('that selects nothing is an error', () => {
    expect(() => names(['http', 'htp'])).toThrow('no configuration is called "htp"; `outrigger characterize --list`');
    expect(() => names(['htp'])).toThrow('; did you mean "http"?');
  });
});
