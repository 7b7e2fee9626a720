import type * as v from 'valibot';
import type { FilterRegistry } from '../filter/registry.ts';
import type { StandardSchemaV1 } from '../filter/standard-schema.ts';
import { FileAccessLog, StreamAccessLog } from './schema/access-log.ts';
import { message, nonEmptyString, optional, struct } from './schema/building-blocks.ts';
import type { ExtensionCategory, ExtensionResolver } from './schema/containers.ts';
import { HttpConnectionManager, UuidRequestIdConfig } from './schema/http-connection-manager.ts';
import { PreserveCaseFormatterConfig, UpstreamHttpProtocolOptions } from './schema/http-protocol-options.ts';
import { HttpInspector, OriginalDst } from './schema/listener-filter-match.ts';
import {
  CgroupMemoryConfig,
  DownstreamConnectionsConfig,
  FileDescriptorsConfig,
  FixedHeapConfig,
  InjectedResourceConfig,
  RESOURCE_MONITOR,
} from './schema/overload.ts';
import { ProxyProtocol, ProxyProtocolUpstreamTransport } from './schema/proxy-protocol.ts';
import {
  OmitHostMetadataConfig,
  PREVIOUS_PRIORITIES,
  PreviousPrioritiesConfig,
  RETRY_HOST,
} from './schema/retry-host.ts';
import { FilterConfig } from './schema/route-components.ts';
import { Router } from './schema/router.ts';
import { SpiffeValidatorConfig } from './schema/spiffe.ts';
import { TcpProxy } from './schema/tcp-proxy.ts';
import { DownstreamTlsContext, TlsInspector, UpstreamTlsContext } from './schema/tls.ts';
import { OpenTelemetryConfig, StaticResourceDetector, ZipkinConfig } from './schema/tracing.ts';
import { RawBuffer } from './schema/transport-socket.ts';
import { UPSTREAM_HTTP_OPTIONS } from './schema/upstream-http-options.ts';

/** Full protobuf names of what the proxy itself implements. */
export const HTTP_CONNECTION_MANAGER =
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
export const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';
export const ROUTER = 'envoy.extensions.filters.http.router.v3.Router';
export const JWT_AUTHN = 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication';
export const FILTER_CONFIG = 'envoy.config.route.v3.FilterConfig';
export const FILE_ACCESS_LOG = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';
export const STDOUT_ACCESS_LOG = 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
export const STDERR_ACCESS_LOG = 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog';
export const PRESERVE_CASE = 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';
export const RAW_BUFFER = 'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer';
export const DOWNSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext';
export const UPSTREAM_TLS = 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';
export const SPIFFE_VALIDATOR = 'envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';
export const UPSTREAM_PROXY_PROTOCOL =
  'envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport';
export const PROXY_PROTOCOL = 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol';
export const HTTP_INSPECTOR = 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector';
export const ORIGINAL_DST = 'envoy.extensions.filters.listener.original_dst.v3.OriginalDst';
export const TLS_INSPECTOR = 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector';
/** Custom filters, written in TypeScript; their own schema is applied when the module is loaded. */
export const HTTP_FILTER_MODULE = 'outrigger.v1.HttpFilterModule';
export const NETWORK_FILTER_MODULE = 'outrigger.v1.NetworkFilterModule';

/** A custom filter: where its module lies and the configuration that it gets. */
export const FilterModule = message({ module: nonEmptyString(), config: optional(struct(), {}) });
export type FilterModule = v.InferOutput<typeof FilterModule>;

const EMPTY = message({});
const OTEL = 'envoy.extensions.tracers.opentelemetry';

/** What the extension points take without any filter registered. */
export const BUILT_IN_TYPES: Readonly<Record<ExtensionCategory, Readonly<Record<string, StandardSchemaV1>>>> = {
  network_filter: {
    [HTTP_CONNECTION_MANAGER]: HttpConnectionManager,
    [TCP_PROXY]: TcpProxy,
    [NETWORK_FILTER_MODULE]: FilterModule,
  },
  http_filter: { [ROUTER]: Router, [HTTP_FILTER_MODULE]: FilterModule },
  route_filter_config: { [FILTER_CONFIG]: FilterConfig, [HTTP_FILTER_MODULE]: FilterModule },
  access_logger: {
    [FILE_ACCESS_LOG]: FileAccessLog,
    [STDOUT_ACCESS_LOG]: StreamAccessLog,
    [STDERR_ACCESS_LOG]: StreamAccessLog,
  },
  listener_filter: {
    [HTTP_INSPECTOR]: HttpInspector,
    [ORIGINAL_DST]: OriginalDst,
    [PROXY_PROTOCOL]: ProxyProtocol,
    [TLS_INSPECTOR]: TlsInspector,
  },
  downstream_transport_socket: { [RAW_BUFFER]: RawBuffer, [DOWNSTREAM_TLS]: DownstreamTlsContext },
  upstream_transport_socket: {
    [RAW_BUFFER]: RawBuffer,
    [UPSTREAM_TLS]: UpstreamTlsContext,
    [UPSTREAM_PROXY_PROTOCOL]: ProxyProtocolUpstreamTransport,
  },
  upstream_options: { [UPSTREAM_HTTP_OPTIONS]: UpstreamHttpProtocolOptions },
  header_formatter: { [PRESERVE_CASE]: PreserveCaseFormatterConfig },
  tracer: {
    'envoy.config.trace.v3.OpenTelemetryConfig': OpenTelemetryConfig,
    'envoy.config.trace.v3.ZipkinConfig': ZipkinConfig,
  },
  resource_detector: {
    [`${OTEL}.resource_detectors.v3.EnvironmentResourceDetectorConfig`]: EMPTY,
    [`${OTEL}.resource_detectors.v3.StaticConfigResourceDetectorConfig`]: StaticResourceDetector,
  },
  tracing_sampler: { [`${OTEL}.samplers.v3.AlwaysOnSamplerConfig`]: EMPTY },
  request_id: { 'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig': UuidRequestIdConfig },
  certificate_validator: { [SPIFFE_VALIDATOR]: SpiffeValidatorConfig },
  retry_host_predicate: {
    [RETRY_HOST.previousHosts]: EMPTY,
    [RETRY_HOST.omitCanaryHosts]: EMPTY,
    [RETRY_HOST.omitHostMetadata]: OmitHostMetadataConfig,
  },
  retry_priority: { [PREVIOUS_PRIORITIES]: PreviousPrioritiesConfig },
  resource_monitor: {
    [RESOURCE_MONITOR.fixedHeap]: FixedHeapConfig,
    [RESOURCE_MONITOR.cgroupMemory]: CgroupMemoryConfig,
    [RESOURCE_MONITOR.injected]: InjectedResourceConfig,
    [RESOURCE_MONITOR.connections]: DownstreamConnectionsConfig,
    [RESOURCE_MONITOR.descriptors]: FileDescriptorsConfig,
  },
};

/** What each extension point takes: the proxy's own messages and the registry's filters. */
export function extensionsOf(registry: FilterRegistry): ExtensionResolver {
  const networkFilters = withRegistry('network_filter', registry.network.values(), (filter) => filter.configType);
  const httpFilters = withRegistry('http_filter', registry.http.values(), (filter) => filter.configType);
  const routeConfigs = builtIn('route_filter_config');
  for (const filter of registry.http.values()) {
    const type = filter.routeConfigType ?? filter.configType;
    if (type !== undefined) routeConfigs.set(type, () => filter.routeConfig ?? filter.config ?? EMPTY);
  }
  const tables: Partial<Record<ExtensionCategory, Schemas>> = {
    network_filter: networkFilters,
    http_filter: httpFilters,
    route_filter_config: routeConfigs,
  };
  return {
    find: (category, type) => tables[category]?.get(type)?.() ?? BUILT_IN_TYPES[category][type],
    names: (category) => [...(tables[category]?.keys() ?? Object.keys(BUILT_IN_TYPES[category]))],
  };
}

/** Filters are asked for their schemas when a configuration names them. */
type Schemas = Map<string, () => StandardSchemaV1>;

function builtIn(category: ExtensionCategory): Schemas {
  return new Map(Object.entries(BUILT_IN_TYPES[category]).map(([type, schema]) => [type, () => schema]));
}

function withRegistry<F extends { config?: StandardSchemaV1 }>(
  category: ExtensionCategory,
  filters: Iterable<F>,
  typeOf: (filter: F) => string | undefined,
): Schemas {
  const table = builtIn(category);
  for (const filter of filters) {
    const type = typeOf(filter);
    if (type !== undefined && !table.has(type)) table.set(type, () => filter.config ?? EMPTY);
  }
  return table;
}
