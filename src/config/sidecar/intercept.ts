import type { Path } from '../errors.ts';
import { Problem } from '../schema/schema.ts';
import { accessLogs } from './access-log.ts';
import { type ChainEntry, chainFilters, type NamedFilter, typed } from './listener.ts';
import type { Provenance } from './provenance.ts';
import type { Intercept, InterceptedPort } from './schema.ts';
import { KEEP_CASE } from './upstream.ts';

type Canonical = Record<string, unknown>;
type Identity = NonNullable<Intercept['identity']>;

/** What connections between proxies say first in their handshake, Istio's among them; an app's own TLS does not. */
const MESH_ALPN = 'istio';
/** Who says nothing for so long waits for the server, in clear text. */
const FIRST_BYTES_TIMEOUT = '5s';
/** The apps hear from these addresses, which no rule redirects: else what comes in would go out, and in again. */
const INBOUND_SOURCES = {
  source_address: { address: '127.0.0.6', port_value: 0 },
  extra_source_addresses: [{ address: { address: '::6', port_value: 0 } }],
};

const IN = 'virtual_inbound';
const OUT = 'virtual_outbound';
const INBOUND_APP = 'inbound_passthrough';
const OUTBOUND_MESH = 'outbound_mesh';
const OUTBOUND_OTHER = 'outbound_passthrough';
const NOWHERE = 'black_hole';

/** Where problems and their places are noted. */
interface Notes {
  readonly provenance: Provenance;
  readonly problems: Problem[];
}

/** The canonical listeners and clusters of intercepted connections. */
export function intercepted(config: Intercept, notes: Notes): { listeners: Canonical[]; clusters: Canonical[] } {
  const { identity, inbound, outbound, connect_timeout } = config;
  const mtls = inbound.mtls ?? (identity === undefined ? 'OFF' : 'STRICT');
  if (mtls !== 'OFF' && identity === undefined)
    notes.problems.push(new Problem('needs identity', { path: ['intercept', 'inbound', 'mtls'] }));
  if (outbound.mesh.length > 0 && identity === undefined)
    notes.problems.push(new Problem('needs identity', { path: ['intercept', 'outbound', 'mesh'] }));
  if (inbound.port === outbound.port)
    notes.problems.push(new Problem('is the port of inbound, too', { path: ['intercept', 'outbound', 'port'] }));
  const builder = new Builder(config, notes);
  return {
    listeners: [builder.inbound(mtls), builder.outbound()],
    clusters: [
      originalDst(INBOUND_APP, { connect_timeout, upstream_bind_config: INBOUND_SOURCES }),
      originalDst(OUTBOUND_OTHER, { connect_timeout }),
      ...(identity === undefined
        ? []
        : [originalDst(OUTBOUND_MESH, { connect_timeout, transport_socket: upstreamTls(identity) })]),
      { name: NOWHERE, type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: NOWHERE } },
    ],
  };
}

class Builder {
  private readonly config: Intercept;
  private readonly notes: Notes;

  constructor(config: Intercept, notes: Notes) {
    this.config = config;
    this.notes = notes;
  }

  inbound(mtls: 'STRICT' | 'PERMISSIVE' | 'OFF'): Canonical {
    const { identity, inbound } = this.config;
    const chains: Canonical[] = [this.dead(inbound.port)];
    const at: Path = ['intercept', 'inbound'];
    const plainAll = mtls !== 'STRICT';
    const named = Object.entries(inbound.ports).map(([port, entry]) => [this.port(port, at), entry] as const);
    if (mtls !== 'OFF' && identity !== undefined) {
      const secure = { transport_protocol: 'tls', application_protocols: [MESH_ALPN] };
      const transport_socket = downstreamTls(identity);
      for (const [port, entry] of named) {
        const filters = tellClients(this.served(`inbound_${port}`, entry, INBOUND_APP, [...at, 'ports', `${port}`]));
        const match = { destination_port: port, ...secure };
        chains.push({ name: `${port}_mtls`, filter_chain_match: match, transport_socket, filters });
      }
      const filters = [this.bytes(IN, INBOUND_APP)];
      chains.push({ name: 'mtls', filter_chain_match: secure, transport_socket, filters });
      // A port that has chains of its own never gets to the one of all ports.
      for (const port of inbound.plain_ports)
        if (!(port in inbound.ports))
          chains.push({
            name: `${port}_mtls`,
            filter_chain_match: { destination_port: port, ...secure },
            transport_socket,
            filters,
          });
    }
    const clear = mtls === 'OFF' ? {} : { transport_protocol: 'raw_buffer' };
    for (const [port, entry] of named) {
      if (!plainAll && !inbound.plain_ports.includes(port)) continue;
      const filters = this.served(`inbound_${port}`, entry, INBOUND_APP, [...at, 'ports', `${port}`]);
      chains.push({ name: `${port}`, filter_chain_match: { destination_port: port, ...clear }, filters });
    }
    for (const port of plainAll ? [] : inbound.plain_ports) {
      if (port in inbound.ports) continue;
      const filters = [this.bytes(IN, INBOUND_APP)];
      chains.push({ name: `${port}`, filter_chain_match: { destination_port: port }, filters });
    }
    const inspected = mtls === 'OFF' ? [] : [listenerFilter('tls_inspector', 'TlsInspector')];
    return this.listener(IN, inbound.port, 'INBOUND', chains, {
      listener_filters: [listenerFilter('original_dst', 'OriginalDst'), ...inspected],
      ...(inbound.mode === 'TPROXY' ? { transparent: true } : {}),
      ...(mtls === 'PERMISSIVE'
        ? { listener_filters_timeout: FIRST_BYTES_TIMEOUT, continue_on_listener_filters_timeout: true }
        : {}),
      ...(plainAll ? { default_filter_chain: { name: 'plain', filters: [this.bytes(IN, INBOUND_APP)] } } : {}),
    });
  }

  outbound(): Canonical {
    const { outbound } = this.config;
    const at: Path = ['intercept', 'outbound'];
    const chains: Canonical[] = [this.dead(outbound.port)];
    if (outbound.mesh.length > 0) {
      const prefix_ranges = outbound.mesh;
      for (const [text, entry] of Object.entries(outbound.ports)) {
        const port = this.port(text, at);
        const filters = this.served(`outbound_${port}`, entry, OUTBOUND_MESH, [...at, 'ports', text]);
        chains.push({ name: `${port}_mesh`, filter_chain_match: { destination_port: port, prefix_ranges }, filters });
      }
      const filters = [this.bytes(OUT, OUTBOUND_MESH)];
      chains.push({ name: 'mesh', filter_chain_match: { prefix_ranges }, filters });
    } else if (Object.keys(outbound.ports).length > 0) {
      this.notes.problems.push(new Problem('needs mesh', { path: [...at, 'ports'] }));
    }
    return this.listener(OUT, outbound.port, 'OUTBOUND', chains, {
      use_original_dst: true,
      default_filter_chain: { name: 'passthrough', filters: [this.bytes(OUT, OUTBOUND_OTHER)] },
    });
  }

  private listener(name: string, port: number, direction: string, chains: Canonical[], rest: Canonical): Canonical {
    const address = this.config.ipv6
      ? { address: '::', port_value: port, ipv4_compat: true }
      : { address: '0.0.0.0', port_value: port };
    const logs = this.config.access_log;
    return this.notes.provenance.mark(['intercept'], {
      name,
      address: { socket_address: address },
      traffic_direction: direction,
      filter_chains: chains,
      ...rest,
      ...(logs === undefined ? {} : { access_log: accessLogs(logs).map(onlyRefused) }),
    });
  }

  /** Whoever comes to our own port directly: sent on to where it wanted to go, it would come again. */
  private dead(port: number): Canonical {
    const filters = [tcpProxy(NOWHERE, NOWHERE)];
    return { name: NOWHERE, filter_chain_match: { destination_port: port }, filters };
  }

  private bytes(prefix: string, cluster: string): NamedFilter {
    const logs = this.config.access_log;
    return tcpProxy(prefix, cluster, logs === undefined ? {} : { access_log: accessLogs(logs) });
  }

  private served(name: string, port: InterceptedPort, cluster: string, path: Path): NamedFilter[] {
    const access_log = port.access_log ?? this.config.access_log;
    // The app has its own ideas of time.
    const timeout = port.timeout ?? (port.protocol === 'TCP' ? undefined : '0s');
    // What the app itself asks for was not forwarded by anybody.
    const http = cluster === OUTBOUND_MESH ? { ...port.http, use_remote_address: false } : port.http;
    const entry: ChainEntry = { ...port, http, name, routes: undefined, access_log, timeout };
    return chainFilters(entry, { appCluster: cluster, path, ...this.notes });
  }

  private port(text: string, at: Path): number {
    const port = Number(text);
    if (!/^\d+$/.test(text) || port < 1 || port > 65535)
      this.notes.problems.push(new Problem(`"${text}" is not a port`, { path: [...at, 'ports', text] }));
    return port;
  }
}

/** A connection that no chain serves is in no other log. */
function onlyRefused(log: Canonical): Canonical {
  return { ...log, filter: { response_flag_filter: { flags: ['NR'] } } };
}

function tcpProxy(prefix: string, cluster: string, rest: Canonical = {}): NamedFilter {
  const type = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
  return typed('envoy.filters.network.tcp_proxy', type, { stat_prefix: prefix, cluster, ...rest });
}

/** Apps are told who their clients are. */
function tellClients(filters: NamedFilter[]): NamedFilter[] {
  return filters.map((filter) =>
    filter.name !== 'envoy.filters.network.http_connection_manager'
      ? filter
      : {
          ...filter,
          typed_config: {
            ...filter.typed_config,
            forward_client_cert_details: 'SANITIZE_SET',
            set_current_client_cert_details: { uri: true },
          },
        },
  );
}

function listenerFilter(name: string, message: string): Canonical {
  const type = `type.googleapis.com/envoy.extensions.filters.listener.${name}.v3.${message}`;
  return { name: `envoy.filters.listener.${name}`, typed_config: { '@type': type } };
}

/** Goes where the client wanted to go, and speaks what the client speaks. */
function originalDst(name: string, rest: Canonical): Canonical {
  const type = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const protocols = {
    http_protocol_options: { header_key_format: KEEP_CASE },
    http2_protocol_options: { allow_connect: true },
  };
  return {
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    // A limit that nobody asked for would end connections which the app itself permits.
    circuit_breakers: {
      thresholds: [
        { max_connections: NO_LIMIT, max_pending_requests: NO_LIMIT, max_requests: NO_LIMIT, max_retries: NO_LIMIT },
      ],
    },
    typed_extension_protocol_options: {
      [type]: { '@type': `type.googleapis.com/${type}`, use_downstream_protocol_config: protocols },
    },
    ...rest,
  };
}

const NO_LIMIT = 4294967295;

const TLS = 'envoy.extensions.transport_sockets.tls.v3';

function downstreamTls(identity: Identity): Canonical {
  const context = { require_client_certificate: true, common_tls_context: tlsContext(identity) };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': `type.googleapis.com/${TLS}.DownstreamTlsContext`, ...context },
  };
}

function upstreamTls(identity: Identity): Canonical {
  const context = { common_tls_context: { ...tlsContext(identity), alpn_protocols: [MESH_ALPN] } };
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': `type.googleapis.com/${TLS}.UpstreamTlsContext`, ...context },
  };
}

function tlsContext({ certificate, key, authority, trust_domain: name }: Identity): Canonical {
  return {
    tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
    validation_context: {
      custom_validator_config: {
        name: 'envoy.tls.cert_validator.spiffe',
        typed_config: {
          '@type': `type.googleapis.com/${TLS}.SPIFFECertValidatorConfig`,
          trust_domains: [{ name, trust_bundle: { filename: authority } }],
        },
      },
    },
  };
}
