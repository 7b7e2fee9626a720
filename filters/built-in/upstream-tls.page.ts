import type { FilterPage } from '../../src/filter/page.ts';

export const upstreamTlsPage: FilterPage = {
  name: 'envoy.transport_sockets.tls (cluster)',
  benchmarkName: 'TLS, both ends',
  slug: 'upstream-tls',
  summary: 'TLS between the proxy and the endpoints of a cluster, with a certificate of its own where it has one',
  text: `Without \`trusted_ca\` nobody is asked and everybody believed. In this example the app speaks TLS and asks for a
certificate.`,
  statistics: {
    'cluster.<cluster>.ssl.handshake': 'handshakes that succeeded',
    'cluster.<cluster>.ssl.connection_error': 'handshakes that failed',
    'cluster.<cluster>.ssl.fail_verify_san': 'endpoints whose certificate has another name',
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
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: server.test
        common_tls_context:
          tls_certificates:
          - { certificate_chain: { filename: /etc/certs/client.pem }, private_key: { filename: /etc/certs/client.key } }
          validation_context:
            trusted_ca: { filename: /etc/certs/ca.pem }
            match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: server.test } }]
`,
  tries: [{ request: {}, answer: { status: 200 } }],
};
