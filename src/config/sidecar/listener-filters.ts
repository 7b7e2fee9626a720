import { OWN_METADATA } from '../listener-options.ts';
import type { ListenerEntry } from './schema.ts';

type Canonical = Record<string, unknown>;

/** Protocols whose servers speak first, by their usual ports: SMTP, DNS, MySQL, MongoDB. */
const SERVER_FIRST_PORTS = [25, 53, 3306, 27017];

/** The filter for the header that connections begin with, if any do. */
export function proxyProtocol({ proxy_protocol: wanted }: ListenerEntry): Canonical[] {
  if (wanted === undefined) return [];
  const fields = wanted === 'OPTIONAL' ? { allow_requests_without_proxy_protocol: true } : {};
  return [listenerFilter('proxy_protocol', 'ProxyProtocol', fields)];
}

/** The rest of a listener that finds out whether connections speak HTTP. */
export function detecting(
  entry: ListenerEntry,
  before: readonly Canonical[],
  filters: { readonly http: readonly unknown[]; readonly tcp: readonly unknown[] },
): Canonical {
  const ports = entry.server_first_ports ?? SERVER_FIRST_PORTS;
  const inspector = listenerFilter('http_inspector', 'HttpInspector', {});
  return {
    listener_filters: [...before, { ...inspector, ...(ports.length === 0 ? {} : { filter_disabled: anyPort(ports) }) }],
    ...(entry.race_server_first === false
      ? {}
      : { metadata: { filter_metadata: { [OWN_METADATA]: { race_server_first: true } } } }),
    // A client that says nothing is served as TCP in the end, since nothing else is known of it.
    continue_on_listener_filters_timeout: true,
    filter_chains: [
      {
        filter_chain_match: {
          transport_protocol: 'raw_buffer',
          application_protocols: ['http/1.0', 'http/1.1', 'h2c'],
        },
        filters: filters.http,
      },
    ],
    default_filter_chain: { filters: filters.tcp },
  };
}

function anyPort(ports: readonly number[]): Canonical {
  const rules = ports.map((port) => ({ destination_port_range: { start: port, end: port + 1 } }));
  return rules.length === 1 ? (rules[0] as Canonical) : { or_match: { rules } };
}

function listenerFilter(name: string, message: string, fields: Canonical): Canonical {
  const type = `type.googleapis.com/envoy.extensions.filters.listener.${name}.v3.${message}`;
  return { name: `envoy.filters.listener.${name}`, typed_config: { '@type': type, ...fields } };
}
