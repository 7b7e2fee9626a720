import type { FilterPage } from '../../src/filter/page.ts';

export const httpInspectorPage: FilterPage = {
  name: 'envoy.filters.listener.http_inspector',
  slug: 'http-inspector',
  summary:
    'Finds out from the first line of a connection whether it speaks HTTP, so that the version can choose a filter chain',
  text: `\`application_protocols\` of a chain are \`http/1.0\`, \`http/1.1\` and \`h2c\`. Nothing is taken from the connection. What
cannot become HTTP is let go at the first byte that says so.`,
  statistics: {
    'listener.<address>.http_inspector.http10_found': 'connections that speak HTTP/1.0',
    'listener.<address>.http_inspector.http11_found': 'connections that speak HTTP/1.1',
    'listener.<address>.http_inspector.http2_found': 'connections that speak HTTP/2 in clear text',
    'listener.<address>.http_inspector.http_not_found': 'connections that speak something else',
    'listener.<address>.http_inspector.read_error': 'connections closed as their first line had no end within 64 KiB',
  },
  example: `static_resources:
  listeners:
  - name: any
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    listener_filters:
    - name: envoy.filters.listener.http_inspector
      typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector }
    filter_chains:
    - filter_chain_match: { transport_protocol: raw_buffer, application_protocols: [http/1.0, http/1.1, h2c] }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          use_remote_address: true
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
    default_filter_chain:
      filters:
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
`,
  tries: [{ request: {}, answer: { status: 200 }, appGets: { 'x-forwarded-for': '127.0.0.1' } }],
};
