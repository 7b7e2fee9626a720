import type { FilterPage } from '../../src/filter/page.ts';

export const tlsInspectorPage: FilterPage = {
  name: 'envoy.filters.listener.tls_inspector',
  slug: 'tls-inspector',
  summary:
    'Reads the beginning of a TLS handshake before a filter chain is chosen, so that server name, protocols and the fact that it is TLS can choose',
  text: `Nothing is taken from the connection: the handshake follows as if nobody had looked.`,
  statistics: {
    'listener.<address>.tls_inspector.tls_found': 'connections that began with TLS',
    'listener.<address>.tls_inspector.tls_not_found': 'connections that did not',
  },
  example: `static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    listener_filters:
    - name: envoy.filters.listener.tls_inspector
      typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector }
    filter_chains:
    - filter_chain_match: { transport_protocol: tls }
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: false
          common_tls_context:
            tls_certificates:
            - { certificate_chain: { filename: /etc/certs/server.pem }, private_key: { filename: /etc/certs/server.key } }
            validation_context: { trusted_ca: { filename: /etc/certs/ca.pem } }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: { uri: true }
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
    - filter_chain_match: { transport_protocol: raw_buffer }
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          forward_client_cert_details: SANITIZE_SET
          set_current_client_cert_details: { uri: true }
          route_config:
            virtual_hosts:
            - { name: all, domains: ["*"], routes: [{ match: { prefix: / }, route: { cluster: app } }] }
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 3000 } } } }] }]
`,
  tries: [
    { request: { over: 'TLS' }, answer: { status: 200 } },
    { request: {}, answer: { status: 200 } },
  ],
};
