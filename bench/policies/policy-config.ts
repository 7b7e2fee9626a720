import type { PeerRun } from '../peers/peer.ts';
import { TRUST_DOMAIN } from './fixtures.ts';
import type { PolicyName } from './policy-name.ts';

type Message = Record<string, unknown>;

const HTTP_FILTERS = 'envoy.extensions.filters.http';
/** Far above what a second holds: the limits are asked, and never reached. */
const ENOUGH = 100_000_000;

/**
 * The canonical configuration of a scenario that is a set of policies: what both Outrigger and Envoy get.
 *
 * @param run - with the fixtures that the policies need
 */
export function policyConfig(run: PeerRun): string {
  const policies = new Set(run.scenario.policies);
  const config = {
    node: { id: 'bench', cluster: 'bench' },
    static_resources: { listeners: [listener(run, policies)], clusters: clusters(run, policies) },
  };
  return JSON.stringify(config, undefined, 2);
}

function listener(run: PeerRun, policies: ReadonlySet<PolicyName>): Message {
  const socket = downstreamTls(run);
  return {
    name: 'bench',
    address: { socket_address: { address: '127.0.0.1', port_value: run.listenPort } },
    filter_chains: [
      {
        ...(socket === undefined ? {} : { transport_socket: socket }),
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: connectionManager(run, policies),
          },
        ],
      },
    ],
  };
}

function connectionManager(run: PeerRun, policies: ReadonlySet<PolicyName>): Message {
  const { scenario } = run;
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'bench',
    codec_type: scenario.downstream === 'http2' ? 'HTTP2' : 'HTTP1',
    ...(policies.has('access_log') ? { access_log: [accessLog()] } : {}),
    ...(policies.has('tracing') ? { tracing: tracing() } : {}),
    ...(policies.has('mtls')
      ? { forward_client_cert_details: 'SANITIZE_SET', set_current_client_cert_details: { uri: true } }
      : {}),
    route_config: { virtual_hosts: virtualHosts(policies) },
    http_filters: [...httpFilters(run, policies), filter('router', 'router.v3.Router', {})],
  };
}

function filter(name: string, type: string, config: Message): Message {
  const typed = { '@type': `type.googleapis.com/${HTTP_FILTERS}.${type}`, ...config };
  return { name: `envoy.filters.http.${name}`, typed_config: typed };
}

function httpFilters(run: PeerRun, policies: ReadonlySet<PolicyName>): Message[] {
  const filters: Message[] = [];
  if (policies.has('request_authentication')) filters.push(requestAuthentication(run));
  if (policies.has('authorization')) filters.push(authorization(policies));
  if (policies.has('local_rate_limit')) {
    filters.push(
      filter('local_ratelimit', 'local_ratelimit.v3.LocalRateLimit', {
        stat_prefix: 'bench',
        token_bucket: { max_tokens: ENOUGH, tokens_per_fill: ENOUGH, fill_interval: '1s' },
        filter_enabled: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
        filter_enforced: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
      }),
    );
  }
  if (policies.has('global_rate_limit')) {
    filters.push(
      filter('ratelimit', 'ratelimit.v3.RateLimit', {
        domain: 'bench',
        timeout: '1s',
        rate_limit_service: {
          transport_api_version: 'V3',
          grpc_service: { envoy_grpc: { cluster_name: 'rate_limit' } },
        },
      }),
    );
  }
  if (policies.has('ip_tag')) {
    filters.push(
      filter('ip_tagging', 'ip_tagging.v3.IPTagging', {
        request_type: 'BOTH',
        ip_tags: [{ ip_tag_name: 'loopback', ip_list: [{ address_prefix: '127.0.0.0', prefix_len: 8 }] }],
      }),
    );
  }
  return filters;
}

function requestAuthentication(run: PeerRun): Message {
  const isCached = run.scenario.uncachedTokens !== true;
  return filter('jwt_authn', 'jwt_authn.v3.JwtAuthentication', {
    providers: {
      bench: {
        issuer: 'https://issuer.bench',
        audiences: ['bench'],
        forward: true,
        payload_in_metadata: 'jwt_payload',
        local_jwks: { inline_string: run.fixtures?.jwks ?? '' },
        ...(isCached ? { jwt_cache_config: { jwt_cache_size: 1000 } } : {}),
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'bench' } }],
  });
}

/** Ten policies of which the last one lets the request pass: by method, path and, where there is one, the identity. */
function authorization(policies: ReadonlySet<PolicyName>): Message {
  const principals: Message[] = [];
  if (policies.has('mtls'))
    principals.push({ authenticated: { principal_name: { exact: `spiffe://${TRUST_DOMAIN}/client` } } });
  if (policies.has('request_authentication')) {
    principals.push({
      metadata: {
        filter: 'envoy.filters.http.jwt_authn',
        path: [{ key: 'jwt_payload' }, { key: 'sub' }],
        value: { string_match: { exact: 'bench' } },
      },
    });
  }
  const others = Array.from({ length: 9 }, (_, i) => [
    `other-${i}`,
    {
      permissions: [{ url_path: { path: { prefix: `/other/${i}/` } } }],
      principals: [{ any: true }],
    },
  ]);
  const reader = {
    permissions: [
      {
        and_rules: {
          rules: [
            { header: { name: ':method', string_match: { exact: 'GET' } } },
            { url_path: { path: { prefix: '/' } } },
          ],
        },
      },
    ],
    principals: [principals.length === 0 ? { any: true } : { and_ids: { ids: principals } }],
  };
  return filter('rbac', 'rbac.v3.RBAC', {
    rules: { action: 'ALLOW', policies: Object.fromEntries([...others, ['reader', reader]]) },
  });
}

function accessLog(): Message {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
      path: 'access.log',
    },
  };
}

/** Every request in a hundred is recorded, as a mesh would have it; the others pass the context on. */
function tracing(): Message {
  return {
    client_sampling: { value: 100 },
    random_sampling: { value: 1 },
    overall_sampling: { value: 100 },
    provider: {
      name: 'envoy.tracers.opentelemetry',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig',
        service_name: 'bench',
        http_service: {
          http_uri: { uri: 'http://collector/v1/traces', cluster: 'collector', timeout: '1s' },
        },
      },
    },
  };
}

function virtualHosts(policies: ReadonlySet<PolicyName>): Message[] {
  const route: Message = {
    cluster: 'app',
    ...(policies.has('retry')
      ? {
          retry_policy: {
            retry_on: 'connect-failure,refused-stream,unavailable,cancelled,5xx',
            num_retries: 2,
            per_try_timeout: '5s',
          },
        }
      : {}),
    ...(policies.has('global_rate_limit')
      ? {
          rate_limits: [
            { actions: [{ generic_key: { descriptor_value: 'all' } }] },
            { actions: [{ request_headers: { header_name: 'x-tenant', descriptor_key: 'tenant' } }] },
          ],
        }
      : {}),
  };
  const app = { name: 'app', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] };
  if (!policies.has('sidecar_scope')) return [app];
  // What a workload may see beside the one that it calls.
  const visible = Array.from({ length: 20 }, (_, i) => ({
    name: `visible-${i}`,
    domains: [`service-${i}.shop.svc.cluster.local`, `service-${i}.shop`],
    routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }],
  }));
  return [...visible, app];
}

function clusters(run: PeerRun, policies: ReadonlySet<PolicyName>): Message[] {
  const socket = upstreamTls(run);
  const app = cluster('app', run.backendPort, {
    ...(socket === undefined ? {} : { transport_socket: socket }),
    ...(policies.has('circuit_breaking')
      ? {
          circuit_breakers: {
            thresholds: [{ max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 }],
          },
          outlier_detection: { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s' },
        }
      : {}),
  });
  const all = [app];
  if (policies.has('global_rate_limit')) {
    all.push(
      cluster('rate_limit', run.companions?.rateLimit ?? 0, {
        typed_extension_protocol_options: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
            '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            explicit_http_config: { http2_protocol_options: {} },
          },
        },
      }),
    );
  }
  if (policies.has('tracing')) all.push(cluster('collector', run.companions?.collector ?? 0, {}));
  return all;
}

function cluster(name: string, port: number, rest: Message): Message {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    ...rest,
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }],
        },
      ],
    },
  };
}

/** The transport socket of the listener; none where the load speaks clear text. */
export function downstreamTls({ scenario, fixtures }: PeerRun): Message | undefined {
  const side = scenario.tls?.downstream;
  if (side === undefined) return undefined;
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      ...(side === 'mtls' ? { require_client_certificate: true } : {}),
      common_tls_context: {
        tls_certificates: [certificate(fixtures?.folder, 'server')],
        ...(side === 'mtls' ? { validation_context: trust(fixtures?.folder, 'client') } : {}),
      },
    },
  };
}

function upstreamTls({ scenario, fixtures }: PeerRun): Message | undefined {
  const side = scenario.tls?.upstream;
  if (side === undefined) return undefined;
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: 'server.bench',
      common_tls_context: {
        tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
        ...(side === 'mtls' ? { tls_certificates: [certificate(fixtures?.folder, 'client')] } : {}),
        validation_context: trust(fixtures?.folder, 'server'),
      },
    },
  };
}

function certificate(folder: string | undefined, name: string): Message {
  return {
    certificate_chain: { filename: `${folder}/${name}/svid.pem` },
    private_key: { filename: `${folder}/${name}/svid-key.pem` },
  };
}

function trust(folder: string | undefined, peer: string): Message {
  return {
    trusted_ca: { filename: `${folder}/ca.pem` },
    match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: `spiffe://${TRUST_DOMAIN}/${peer}` } }],
  };
}
