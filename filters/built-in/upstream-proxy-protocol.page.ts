import type { FilterPage } from '../../src/filter/page.ts';

export const upstreamProxyProtocolPage: FilterPage = {
  name: 'envoy.transport_sockets.upstream_proxy_protocol',
  slug: 'upstream-proxy-protocol',
  summary:
    'Begins connections to the endpoints of a cluster with a PROXY protocol header that names the client; TLS may follow',
  text: `Requests of a client have connections of their own then, which end with the client's. Connections of the proxy
itself, such as health checks, say so (\`LOCAL\`). The example reads its own headers on a second listener, on a Unix socket.`,
  statistics: {
    'cluster.<cluster>.upstream.proxyprotocol.v2_tlvs_exceed_max_length':
      'headers from which items were left out, as they would have been longer than 64 KiB',
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
          use_remote_address: true
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: announced } }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  - name: behind
    address: { pipe: { path: "@outrigger-behind" } }
    listener_filters:
    - name: envoy.filters.listener.proxy_protocol
      typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol }
    filter_chains:
    - filters:
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
  clusters:
  - name: announced
    load_assignment:
      cluster_name: announced
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: "@outrigger-behind" } } } }] }]
    transport_socket:
      name: envoy.transport_sockets.upstream_proxy_protocol
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport
        config: { version: V2, added_tlvs: [{ type: 5, value: aWQ= }] }
        transport_socket:
          name: envoy.transport_sockets.raw_buffer
          typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer }
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 3000 } } } }] }]
`,
  tries: [{ request: {}, answer: { status: 200 }, appGets: { 'x-forwarded-for': '127.0.0.1,127.0.0.1' } }],
};
