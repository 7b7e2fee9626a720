/** Parts of configurations in Envoy's form, as objects: for tests of what stands before a filter chain. */

const listenerFilter = (name: string, message: string, fields: object = {}) => ({
  name,
  typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.listener.${message}`, ...fields },
});

export const proxyProtocol = (fields: object = {}) =>
  listenerFilter('envoy.filters.listener.proxy_protocol', 'proxy_protocol.v3.ProxyProtocol', fields);
export const httpInspector = () =>
  listenerFilter('envoy.filters.listener.http_inspector', 'http_inspector.v3.HttpInspector');
export const tlsInspector = () =>
  listenerFilter('envoy.filters.listener.tls_inspector', 'tls_inspector.v3.TlsInspector');

/** An access log in a file, a line of text per connection or request. */
export const fileLog = (path: string, format: string) => ({
  name: 'file',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
    path,
    log_format: { text_format_source: { inline_string: `${format}\n` } },
  },
});

export const tcpProxy = (cluster: string, fields: object = {}) => ({
  name: 'tcp',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: cluster,
    cluster,
    ...fields,
  },
});

/** A connection manager all of whose requests go to a cluster. */
export const httpManager = (cluster: string, fields: object = {}) => ({
  name: 'http',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: cluster,
    route_config: {
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
    },
    http_filters: [
      {
        name: 'router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    ...fields,
  },
});

/** A port of the loopback, or the path of a Unix socket. */
export const addressOf = (target: number | string) =>
  typeof target === 'number'
    ? { socket_address: { address: '127.0.0.1', port_value: target } }
    : { pipe: { path: target } };

export const clusterOf = (name: string, target: number | string, fields: object = {}) => ({
  name,
  connect_timeout: '5s',
  load_assignment: {
    cluster_name: name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(target) } }] }],
  },
  ...fields,
});

/** A cluster's transport socket that begins with a PROXY protocol header; `inner` is what follows. */
export const announcing = (config: object, inner?: object) => ({
  transport_socket: {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    typed_config: {
      '@type':
        'type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport',
      config,
      transport_socket: inner ?? {
        name: 'envoy.transport_sockets.raw_buffer',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' },
      },
    },
  },
});

/** One listener and its clusters, as text. JSON is YAML. */
export const bootstrap = (listeners: readonly object[], clusters: readonly object[], rest: object = {}): string =>
  JSON.stringify({ ...rest, static_resources: { listeners, clusters } });

export const listenerOf = (fields: object, address: object = addressOf(0)) => ({
  name: 'listener',
  address,
  ...fields,
});

/** The same with `static_resources` at the beginning of a line, for what adds lines around it. */
export const bootstrapLines = (listeners: readonly object[], clusters: readonly object[]): string =>
  `static_resources: ${JSON.stringify({ listeners, clusters })}\n`;
