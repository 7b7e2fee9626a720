import { type CanonicalAddress, isHostName } from '../src/config/sidecar/units.ts';
import { type Canonical, typed } from './policy.ts';

/** A service that a policy calls, as a cluster of its own. */
export interface Service {
  readonly address: CanonicalAddress;
  readonly isHttp2?: boolean;
  /** Server name, where it speaks TLS. */
  readonly tlsName?: string;
  /** Certificates of the authorities to believe, PEM file. */
  readonly trustedCa?: string;
}

/** Where Debian and its relatives keep the public authorities. */
const SYSTEM_AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt';

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export function serviceCluster(name: string, service: Service): Canonical {
  const { address, isHttp2 = false, tlsName, trustedCa = SYSTEM_AUTHORITIES } = service;
  const context = typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
    sni: tlsName,
    common_tls_context: {
      validation_context: {
        trusted_ca: { filename: trustedCa },
        match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: tlsName } }],
      },
    },
  });
  return {
    name,
    type: isHostName(address) ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    ...(isHttp2
      ? {
          typed_extension_protocol_options: {
            [HTTP_OPTIONS]: typed(HTTP_OPTIONS, { explicit_http_config: { http2_protocol_options: {} } }),
          },
        }
      : {}),
    ...(tlsName === undefined
      ? {}
      : { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: context } }),
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  };
}
