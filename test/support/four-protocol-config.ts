const MANAGER = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** Two HTTP listeners and one of TCP, before an echo app. `version` changes the first listener only. */
export function fourProtocolConfig(
  ports: { readonly http: number; readonly steady: number; readonly tcp: number; readonly admin: number },
  app: { readonly httpPort: number; readonly tcpPort: number },
  version = 0,
): string {
  return `
admin: { address: { socket_address: { address: 127.0.0.1, port_value: ${ports.admin} } } }
static_resources:
  listeners:
${httpListener('changing', ports.http, version)}
${httpListener('steady', ports.steady, 0)}
  - name: tcp
    address: { socket_address: { address: 127.0.0.1, port_value: ${ports.tcp} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: echo
  clusters:
${cluster('app', app.httpPort)}
${cluster('echo', app.tcpPort)}
`;
}

function httpListener(name: string, port: number, version: number): string {
  return `  - name: ${name}
    address: { socket_address: { address: 127.0.0.1, port_value: ${port} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": ${MANAGER}
          stat_prefix: ${name}
          upgrade_configs: [{ upgrade_type: websocket }]
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              response_headers_to_add: [{ header: { key: x-version, value: "${version}" } }]
              routes: [{ match: { prefix: / }, route: { cluster: app } }]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }`;
}

function cluster(name: string, port: number): string {
  return `  - name: ${name}
    connect_timeout: 5s
    load_assignment:
      cluster_name: ${name}
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${port} } } }`;
}
