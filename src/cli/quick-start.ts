import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type HostPort, parseHostPort } from './address.ts';

export interface QuickStart {
  readonly app: string;
  readonly listen: string;
  readonly protocol: 'tcp' | 'http';
  /** Filter modules, in order: paths or package names. */
  readonly filters: readonly string[];
}

const TYPE = 'type.googleapis.com';
const NETWORK_FILTERS = `${TYPE}/envoy.extensions.filters.network`;

/**
 * The configuration of `run --app … --listen …`: one listener, one cluster, the access log on standard output, and
 * defaults that are friendlier than Envoy's (HTTP/1.0 is taken, header names keep their case).
 *
 * @throws UsageError for an address that is none.
 */
export function quickStartConfig(quick: QuickStart): string {
  const app = parseHostPort(quick.app, '--app', '127.0.0.1');
  const listen = parseHostPort(quick.listen, '--listen', '0.0.0.0');
  return JSON.stringify({
    admin: { address: socketAddress({ host: '127.0.0.1', port: 15000 }) },
    static_resources: {
      listeners: [
        {
          name: 'inbound',
          address: socketAddress(listen),
          filter_chains: [
            { filters: quick.protocol === 'tcp' ? tcpFilters(quick.filters) : httpFilters(quick.filters) },
          ],
        },
      ],
      clusters: [
        {
          name: 'app',
          type: /^[\d.]+$|:/.test(app.host) ? 'STATIC' : 'STRICT_DNS',
          connect_timeout: '1s',
          ...(quick.protocol === 'http' ? { typed_extension_protocol_options: upstreamHttpOptions() } : {}),
          load_assignment: {
            cluster_name: 'app',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(app) } }] }],
          },
        },
      ],
    },
  });
}

function socketAddress({ host, port }: HostPort): object {
  return { socket_address: { address: host, port_value: port } };
}

function accessLog(): object[] {
  const stdout = { '@type': `${TYPE}/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog` };
  return [{ name: 'envoy.access_loggers.stdout', typed_config: stdout }];
}

function tcpFilters(modules: readonly string[]): object[] {
  return [
    ...modules.map((module) => customFilter('NetworkFilterModule', module)),
    {
      name: 'envoy.filters.network.tcp_proxy',
      typed_config: {
        '@type': `${NETWORK_FILTERS}.tcp_proxy.v3.TcpProxy`,
        stat_prefix: 'inbound',
        cluster: 'app',
        access_log: accessLog(),
      },
    },
  ];
}

function httpFilters(modules: readonly string[]): object[] {
  const routes = [{ match: { prefix: '/' }, route: { cluster: 'app' } }];
  return [
    {
      name: 'envoy.filters.network.http_connection_manager',
      typed_config: {
        '@type': `${NETWORK_FILTERS}.http_connection_manager.v3.HttpConnectionManager`,
        stat_prefix: 'inbound',
        http_protocol_options: { accept_http_10: true, header_key_format: preserveCase() },
        access_log: accessLog(),
        upgrade_configs: [{ upgrade_type: 'websocket' }],
        route_config: { name: 'inbound', virtual_hosts: [{ name: 'app', domains: ['*'], routes }] },
        http_filters: [
          ...modules.map((module) => customFilter('HttpFilterModule', module)),
          {
            name: 'envoy.filters.http.router',
            typed_config: { '@type': `${TYPE}/envoy.extensions.filters.http.router.v3.Router` },
          },
        ],
      },
    },
  ];
}

function upstreamHttpOptions(): object {
  const name = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const http = { http_protocol_options: { header_key_format: preserveCase() } };
  return { [name]: { '@type': `${TYPE}/${name}`, explicit_http_config: http } };
}

function preserveCase(): object {
  const type = 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';
  return { stateful_formatter: { name: 'preserve_case', typed_config: { '@type': `${TYPE}/${type}` } } };
}

/** A path becomes absolute, since the configuration lies nowhere; what is no file is taken for a package's name. */
function customFilter(type: 'HttpFilterModule' | 'NetworkFilterModule', module: string): object {
  const [path = '', exported] = module.split('#');
  const isPath = /^[./]/.test(path) || existsSync(path);
  const place = isPath ? resolve(path) + (exported === undefined ? '' : `#${exported}`) : module;
  return {
    name: path.replace(/^.*\/|\.[cm]?[jt]s$/g, ''),
    typed_config: { '@type': `${TYPE}/outrigger.v1.${type}`, module: place },
  };
}
