import type { FilterPage } from '../../src/filter/page.ts';

export const connectionManagerPage: FilterPage = {
  name: 'envoy.filters.network.http_connection_manager',
  slug: 'http-connection-manager',
  summary: 'Speaks HTTP/1.1 and HTTP/2 with clients, and runs the HTTP filters on each request',
  text: `It is the last network filter of a chain that speaks HTTP. It checks and normalises requests, finds their route, and
writes the access log.`,
  statistics: {
    'http.<stat_prefix>.downstream_rq_total': 'requests',
    'http.<stat_prefix>.downstream_rq_2xx': 'responses by class',
    'http.<stat_prefix>.downstream_rq_active': 'requests under way',
    'http.<stat_prefix>.downstream_cx_active': 'connections',
    'http.<stat_prefix>.downstream_cx_protocol_error': 'connections that broke the protocol',
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
          server_name: shop
          normalize_path: true
          always_set_request_id_in_response: true
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{ match: { prefix: /items/ }, route: { cluster: app } }]
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
    { request: { path: '/a/../items/1' }, answer: { status: 200, headers: { server: 'shop' }, body: '/items/1' } },
    { request: { path: '/elsewhere' }, answer: { status: 404 } },
  ],
};
