import type { FilterPage } from '../../src/filter/page.ts';

export const downstreamTlsPage: FilterPage = {
  name: 'envoy.transport_sockets.tls (listener)',
  benchmarkName: 'TLS, receiver',
  slug: 'downstream-tls',
  summary: 'TLS between clients and a listener, with certificates of clients where they are asked for',
  text: `See [tls.md](../tls.md) for what happens when a handshake fails.`,
  statistics: {
    'listener.<address>.ssl.handshake': 'handshakes that succeeded',
    'listener.<address>.ssl.fail_verify_no_cert': 'clients without a certificate, where one is required',
    'listener.<address>.ssl.fail_verify_error': 'clients whose certificate nobody vouches for',
  },
  example: `static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    filter_chains:
    - transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
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
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 3000 } } } }] }]
`,
  tries: [
    { request: { over: 'TLS with a certificate' }, answer: { status: 200 } },
    { request: { over: 'TLS' }, answer: 'closed' },
    { request: {}, answer: 'closed' },
  ],
};
