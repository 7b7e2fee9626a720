import { certificate, type TestPki } from '../../support/tls.ts';
import { CLAIMS, PORT } from './grammar.ts';

const TYPE = 'type.googleapis.com/envoy.extensions';

/** What one route or one listener is judged by. */
export interface Judged {
  readonly rules: object;
  readonly shadow: object;
}

/** Where the two listeners for requests listen, and those for connections. */
export interface Ports {
  readonly plain: number;
  readonly tls: number;
  readonly connections: readonly number[];
}

/** Prefix of the shadow rules of every other ruleset. */
export const SHADOW_PREFIX = 'next_';

/** Prefix of the enforced rules of every third ruleset. */
export const PREFIX = 'now_';

const KEYS = [
  ...['', PREFIX].flatMap((prefix) => [`${prefix}enforced_engine_result`, `${prefix}enforced_effective_policy_id`]),
  ...['', SHADOW_PREFIX].flatMap((prefix) => [`${prefix}shadow_engine_result`, `${prefix}shadow_effective_policy_id`]),
];

/** A line of the access log: which request, and what was found. */
const LOG_FORMAT = [
  '%REQ(X-NUMBER)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%',
  ...KEYS.map((key) => `${key}=%DYNAMIC_METADATA(envoy.filters.http.rbac:${key})%`),
  'hint=%DYNAMIC_METADATA(envoy.common:access_log_hint)%',
].join(' ');

/** The whole configuration, as JSON: one route of two listeners for each set of request rules, a listener for the others. */
export function configuration(
  pki: TestPki,
  requestRules: readonly Judged[],
  connectionRules: readonly Judged[],
  ports: Ports,
  logFile: string,
): string {
  const tls = {
    name: 'tls',
    typed_config: {
      '@type': `${TYPE}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        tls_certificates: [certificate(pki.server)],
        validation_context: { trusted_ca: { inline_string: pki.ca.cert } },
      },
    },
  };
  const inspector = {
    name: 'tls',
    typed_config: { '@type': `${TYPE}.filters.listener.tls_inspector.v3.TlsInspector` },
  };
  const listener = (name: string, port: number, filters: object[], isTls: boolean) => ({
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    ...(isTls ? { listener_filters: [inspector] } : {}),
    filter_chains: [{ filters, ...(isTls ? { transport_socket: tls } : {}) }],
  });
  const admin = { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } };
  return JSON.stringify({
    admin,
    static_resources: {
      listeners: [
        listener('plain', ports.plain, [manager('plain', requestRules, ports.plain, logFile)], false),
        listener('tls', ports.tls, [manager('tls', requestRules, ports.tls, logFile)], true),
        ...connectionRules.map((judged, i) => {
          const port = ports.connections[i] as number;
          const filters = [networkRbac(i, judged, port), manager('connections', [], port, logFile)];
          return listener(`connections-${i}`, port, filters, i % 2 === 1);
        }),
      ],
    },
  });
}

function networkRbac(i: number, { rules, shadow }: Judged, port: number): object {
  return {
    name: 'rbac',
    typed_config: {
      '@type': `${TYPE}.filters.network.rbac.v3.RBAC`,
      stat_prefix: `tcp.judge-${i}`,
      rules: atPort(rules, port),
      shadow_rules: atPort(shadow, port),
    },
  };
}

function manager(name: string, judged: readonly Judged[], port: number, logFile: string): object {
  const direct = { status: 200, body: { inline_string: 'served' } };
  return {
    name: 'manager',
    typed_config: {
      '@type': `${TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: name,
      use_remote_address: true,
      xff_num_trusted_hops: 1,
      access_log: [
        {
          name: 'log',
          typed_config: {
            '@type': `${TYPE}.access_loggers.file.v3.FileAccessLog`,
            path: logFile,
            log_format: { text_format_source: { inline_string: `${LOG_FORMAT}\n` } },
          },
        },
      ],
      route_config: {
        virtual_hosts: [
          {
            name: 'all',
            domains: ['*'],
            routes: [
              ...judged.map(({ rules, shadow }, i) => ({
                match: { prefix: '/', headers: [{ name: 'x-case', string_match: { exact: String(i) } }] },
                direct_response: direct,
                metadata: { filter_metadata: { route: { k: ['a', 'abc', 5, true, null, ['a', 'b']][i % 6] } } },
                typed_per_filter_config: {
                  rbac: {
                    '@type': `${TYPE}.filters.http.rbac.v3.RBACPerRoute`,
                    rbac: {
                      rules: atPort(rules, port),
                      shadow_rules: atPort(shadow, port),
                      ...(i % 2 === 0 ? {} : { shadow_rules_stat_prefix: SHADOW_PREFIX }),
                      ...(i % 3 === 0 ? { rules_stat_prefix: PREFIX } : {}),
                      track_per_rule_stats: i % 5 !== 0,
                    },
                  },
                },
              })),
              { match: { prefix: '/' }, direct_response: direct },
            ],
          },
        ],
      },
      http_filters: [
        {
          name: 'claims',
          typed_config: {
            '@type': `${TYPE}.filters.http.header_to_metadata.v3.Config`,
            request_rules: [
              { header: 'x-sub', on_header_present: { metadata_namespace: CLAIMS, key: 'sub' }, remove: true },
              {
                header: 'x-payload',
                on_header_present: {
                  metadata_namespace: CLAIMS,
                  key: 'payload',
                  type: 'PROTOBUF_VALUE',
                  encode: 'BASE64',
                },
              },
            ],
          },
        },
        { name: 'rbac', typed_config: { '@type': `${TYPE}.filters.http.rbac.v3.RBAC` } },
        { name: 'router', typed_config: { '@type': `${TYPE}.filters.http.router.v3.Router` } },
      ],
    },
  };
}

/** The rules with the listener's port in place of what stands for it. */
function atPort(value: unknown, port: number): unknown {
  if (Array.isArray(value)) return value.map((part) => atPort(part, port));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => {
      if (key === 'destination_port') return [key, part - PORT.own + port];
      if (key === 'destination_port_range') {
        return [key, { start: part.start - PORT.own + port, end: part.end - PORT.own + port }];
      }
      return [key, atPort(part, port)];
    }),
  );
}
