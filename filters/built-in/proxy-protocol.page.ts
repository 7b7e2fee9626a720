import type { FilterPage } from '../../src/filter/page.ts';

export const proxyProtocolPage: FilterPage = {
  name: 'envoy.filters.listener.proxy_protocol',
  slug: 'proxy-protocol',
  summary:
    'Takes the PROXY protocol header (version 1 or 2) from the beginning of connections, which then count as those of the client that it names',
  text: `Who may connect can say to be anybody: the listener must be reachable for trusted proxies only. A checksum in a
header of version 2 is checked. What is no header ends the connection, unless \`allow_requests_without_proxy_protocol\` is set.
[Listeners](../listeners.md) tells more.`,
  statistics: {
    'proxy_proto.versions.v1.found': 'headers of version 1; v2 has its own',
    'proxy_proto.versions.v1.error': 'connections refused since their header was malformed',
    'proxy_proto.versions.v1.disallowed': 'connections refused by disallowed_versions',
    'proxy_proto.not_found_disallowed': 'connections refused since there was no header',
    'proxy_proto.not_found_allowed': 'connections without a header that passed',
    downstream_cx_proxy_proto_error: 'all connections refused for their header, or for the lack of one',
  },
  example: `static_resources:
  listeners:
  - name: http
    address: { socket_address: { address: 127.0.0.1, port_value: 8080 } }
    listener_filters:
    - name: envoy.filters.listener.proxy_protocol
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol
        allow_requests_without_proxy_protocol: true
        rules: [{ tlv_type: 5, on_tlv_present: { key: unique_id } }]
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
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 3000 } } } }] }]
`,
  tries: [{ request: {}, answer: { status: 200 }, appGets: { 'x-forwarded-for': '127.0.0.1' } }],
};
