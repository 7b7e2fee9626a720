import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import { SERVICE_FILTER_TYPE } from './service-filter.ts';

const MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';
/** A connection of a client that has nothing to ask stays: the next call shall not wait for a handshake. */
const IDLE_TIMEOUT = '3600s';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** The proxy that the rate limit service runs in: one listener, whose filter answers. */
export function serviceConfig(listen: ListenAddress, registry: FilterRegistry): LoadedConfig {
  const typed = (type: string, fields: object = {}) => ({ '@type': `type.googleapis.com/${type}`, ...fields });
  const manager = typed(MANAGER, {
    stat_prefix: 'ratelimit',
    codec_type: 'HTTP2',
    stream_idle_timeout: '10s',
    common_http_protocol_options: { idle_timeout: IDLE_TIMEOUT },
    http2_protocol_options: { max_concurrent_streams: 1024 },
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 404 } }] },
      ],
    },
    http_filters: [
      { name: 'outrigger.ratelimit_service', typed_config: typed(SERVICE_FILTER_TYPE) },
      { name: 'envoy.filters.http.router', typed_config: typed(ROUTER) },
    ],
  });
  const bootstrap = {
    static_resources: {
      listeners: [
        {
          name: 'ratelimit',
          address: { socket_address: { address: listen.host, port_value: listen.port } },
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
    },
  };
  return loadConfig('outrigger ratelimit', { registry, text: JSON.stringify(bootstrap) });
}
