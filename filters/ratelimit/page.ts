import type { FilterPage } from '../../src/filter/page.ts';

export const rateLimitPage: FilterPage = {
  name: 'envoy.filters.http.ratelimit',
  slug: 'ratelimit',
  summary: 'Asks a service whether a request may pass: one count for the whole mesh',
  text: `Routes and virtual hosts say with \`rate_limits\` what is counted; the service, which speaks
\`envoy.service.ratelimit.v3\` over gRPC, knows the limits. In this example it allows one request of each user.`,
  statistics: {
    'cluster.<cluster>.ratelimit.ok': 'requests that the service let pass',
    'cluster.<cluster>.ratelimit.over_limit': 'requests that it did not',
    'cluster.<cluster>.ratelimit.error': 'calls to it that failed',
    'cluster.<cluster>.ratelimit.failure_mode_allowed': 'requests that passed since it did not answer',
  },
  example: `static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: / }, route: { cluster: app } }]
              rate_limits:
              - actions: [{ request_headers: { header_name: x-user, descriptor_key: user } }]
          http_filters:
          - name: envoy.filters.http.ratelimit
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
              domain: shop
              failure_mode_deny: true
              timeout: 5s
              rate_limit_service:
                transport_api_version: V3
                grpc_service: { envoy_grpc: { cluster_name: limits } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
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
    { request: { headers: { 'x-user': 'ann' } }, answer: { status: 200 } },
    { request: { headers: { 'x-user': 'ann' } }, answer: { status: 429 } },
    { request: { headers: { 'x-user': 'bob' } }, answer: { status: 200 } },
    { request: {}, answer: { status: 200 } },
  ],
};
