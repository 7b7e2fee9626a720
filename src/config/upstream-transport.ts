import type { ProxyProtocolConfig, ProxyProtocolUpstreamTransport } from './schema/proxy-protocol.ts';
import type { UpstreamTlsContext } from './schema/tls.ts';
import type { TypedConfig } from './typed-config.ts';

/** What a cluster's `transport_socket` puts between the codec and the socket, whichever way it is nested. */
export interface TransportLayers {
  readonly proxyProtocol: ProxyProtocolConfig | undefined;
  readonly tls: UpstreamTlsContext | undefined;
  /** From the cluster to the message around the transport socket of TLS. */
  readonly tlsPath: readonly string[];
}

const TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
const PROXY_PROTOCOL = 'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';

export function transportLayers(socket: TypedConfig | undefined): TransportLayers {
  if (socket?.type === TLS) {
    return { proxyProtocol: undefined, tls: socket.value as UpstreamTlsContext, tlsPath: [] };
  }
  if (socket?.type !== PROXY_PROTOCOL) return { proxyProtocol: undefined, tls: undefined, tlsPath: [] };
  const { config, transport_socket: inner } = socket.value as ProxyProtocolUpstreamTransport;
  const { tls, tlsPath } = transportLayers(inner.typed_config);
  return { proxyProtocol: config, tls, tlsPath: ['transport_socket', 'typed_config', ...tlsPath] };
}
