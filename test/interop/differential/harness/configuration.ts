import type { Scenario } from './case.ts';
import { PROBE_HOST } from './client.ts';

/** Addresses of this run that a configuration is filled with. */
export interface Places {
  /** Upstream port by scenario name. */
  readonly upstream: ReadonlyMap<string, number>;
  /** A port at which nobody listens. */
  readonly deadPort: number;
  /** File of the access log. */
  readonly logFile: string;
}

/** Fields of an access-log line, separated by tabs: whose, and what. */
export const LOG_FORMAT = [
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
  '%DOWNSTREAM_LOCAL_PORT%',
  '%START_TIME(%s%3f)%',
  '%REQ(:AUTHORITY)%',
  '%RESPONSE_CODE% %RESPONSE_FLAGS%',
  '%RESPONSE_CODE_DETAILS%',
  [
    '%PROTOCOL% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %ROUTE_NAME% %UPSTREAM_CLUSTER%',
    '%UPSTREAM_REQUEST_ATTEMPT_COUNT% %BYTES_RECEIVED% %BYTES_SENT%',
    '%CONNECTION_TERMINATION_DETAILS% %UPSTREAM_TRANSPORT_FAILURE_REASON% %GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%',
    '%FILTER_STATE(envoy.filters.http.grpc_stats)% %FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%',
  ].join(' '),
].join('\\t');

/** The whole configuration: one listener, and one cluster at least, for each scenario. */
export function configuration(scenarios: readonly Scenario[], places: Places): string {
  const parts = scenarios.map((scenario) => ({
    listener: fill(listener(scenario), scenario, places),
    clusters: fill(clusters(scenario), scenario, places),
  }));
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: 0 } } }
static_resources:
  listeners:
${indent(parts.map((part) => part.listener).join('\n'), 2)}
  clusters:
${indent(parts.map((part) => part.clusters).join('\n'), 2)}
`;
}

function fill(text: string, scenario: Scenario, places: Places): string {
  return text
    .replaceAll('$app', `${scenario.name}-app`)
    .replaceAll('$port', String(places.upstream.get(scenario.name)))
    .replaceAll('$dead', String(places.deadPort))
    .replaceAll('$log', places.logFile);
}

function listener(scenario: Scenario): string {
  return `- name: ${scenario.name}
  address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
${indent(scenario.listener ?? '', 2)}
  filter_chains:
  - filters:
${indent(scenario.networkFilters ?? connectionManager(scenario), 4)}`;
}

/** The delayed close is short, so that a connection's end is seen soon. */
function connectionManager(scenario: Scenario): string {
  const manager = scenario.manager ?? '';
  return `- name: envoy.filters.network.http_connection_manager
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    stat_prefix: ${scenario.name}
${manager.includes('delayed_close_timeout') ? '' : '    delayed_close_timeout: 0.05s'}
${indent(manager, 4)}
    access_log:
${indent(ACCESS_LOG, 4)}
    route_config:
${indent(scenario.routeConfiguration ?? '', 6)}
      virtual_hosts:
      - name: probe
        domains: ["${PROBE_HOST}"]
        routes: [{ match: { prefix: / }, direct_response: { status: 200, body: { inline_string: probe } } }]
${indent(scenario.virtualHosts ?? '', 6)}
      - name: all
        domains: ["*"]
${indent(scenario.virtualHost ?? '', 8)}
        routes:
${indent(scenario.routes ?? '- match: { prefix: / }\n  route: { cluster: $app }\n- match: { connect_matcher: {} }\n  route: { cluster: $app }', 8)}
    http_filters:
${indent(scenario.filters ?? '', 4)}
    - name: envoy.filters.http.router
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
${indent(scenario.routerFields ?? '', 8)}`;
}

export const ACCESS_LOG = `- name: envoy.access_loggers.file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: "$log"
    log_format: { text_format_source: { inline_string: "${LOG_FORMAT}\\n" } }`;

function clusters(scenario: Scenario): string {
  return `- name: $app
  connect_timeout: 1s
  load_assignment:
    cluster_name: $app
    endpoints:
    - lb_endpoints:
      - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: $port } } }
${indent(scenario.cluster ?? '', 2)}
${scenario.clusters ?? ''}`;
}

function indent(text: string, columns: number): string {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => ' '.repeat(columns) + line)
    .join('\n');
}
