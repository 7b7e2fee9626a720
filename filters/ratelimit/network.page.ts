import type { FilterPage } from '../../src/filter/page.ts';

export const networkRateLimitPage: FilterPage = {
  name: 'envoy.filters.network.ratelimit',
  slug: 'network-ratelimit',
  summary: 'Asks a service whether a connection may go on: one count for all proxies',
  text: `The service speaks \`envoy.service.ratelimit.v3\` over gRPC, as for [requests](ratelimit.md). Values of the descriptors may have
\`%…%\` operators. In this example the service allows one connection of each address.`,
  statistics: {
    'ratelimit.<stat_prefix>.total': 'connections that the service was asked about',
    'ratelimit.<stat_prefix>.active': 'connections that wait for its answer',
    'ratelimit.<stat_prefix>.ok': 'connections that it let pass',
    'ratelimit.<stat_prefix>.over_limit': 'connections that it did not',
    'ratelimit.<stat_prefix>.error': 'calls to it that failed',
    'ratelimit.<stat_prefix>.failure_mode_allowed': 'connections that passed since it did not answer',
    'ratelimit.<stat_prefix>.cx_closed': 'connections that were closed',
  },
  example: `static_resources:
  listeners:
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.ratelimit.v3.RateLimit
          stat_prefix: edge
          domain: shop
          descriptors: [{ entries: [{ key: peer, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }] }]
          failure_mode_deny: true
          timeout: 5s
          rate_limit_service:
            transport_api_version: V3
            grpc_service: { envoy_grpc: { cluster_name: limits } }
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: app
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 3000 } } } }] }]
  - name: limits
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: limits
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 8081 } } } }] }]
`,
  tries: [
    { request: {}, answer: { status: 200 } },
    { request: {}, answer: 'closed' },
  ],
};
