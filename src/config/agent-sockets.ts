import { DOWNSTREAM_TLS, UPSTREAM_TLS } from './extensions.ts';
import type { Bootstrap } from './schema/bootstrap.ts';
import type { Cluster } from './schema/cluster.ts';
import type { SdsSecretConfig } from './schema/config-source.ts';
import { Problem } from './schema/schema.ts';
import type { CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext } from './schema/tls.ts';
import { nearest } from './suggest.ts';
import type { TypedConfig } from './typed-config.ts';
import { transportLayers } from './upstream-transport.ts';

type Path = readonly (string | number)[];

/**
 * Secrets may name their agent by a cluster, as with Envoy. What is needed of it is its socket, which takes the place of
 * the name here: TLS knows no clusters.
 */
export function resolveAgents(bootstrap: Bootstrap): Problem[] {
  const { clusters, listeners } = bootstrap.static_resources;
  const problems: Problem[] = [];
  const resolve = (socket: TypedConfig | undefined, path: Path): void => {
    if (socket?.type !== DOWNSTREAM_TLS && socket?.type !== UPSTREAM_TLS) return;
    const context = socket.value as DownstreamTlsContext | UpstreamTlsContext;
    for (const [secret, at] of secretsOf(context, path)) problems.push(...resolveAgent(secret, at, clusters));
  };
  for (const [index, listener] of listeners.entries()) {
    const path = ['static_resources', 'listeners', index];
    for (const [position, chain] of listener.filter_chains.entries()) {
      resolve(chain.transport_socket?.typed_config, [...path, 'filter_chains', position]);
    }
    resolve(listener.default_filter_chain?.transport_socket?.typed_config, [...path, 'default_filter_chain']);
  }
  for (const [index, cluster] of clusters.entries()) {
    const { tls, tlsPath } = transportLayers(cluster.transport_socket?.typed_config);
    const path = ['static_resources', 'clusters', index, ...tlsPath];
    if (tls !== undefined) resolve({ type: UPSTREAM_TLS, value: tls }, path);
  }
  return problems;
}

function secretsOf(context: DownstreamTlsContext | UpstreamTlsContext, path: Path): [SdsSecretConfig, Path][] {
  const common: CommonTlsContext = context.common_tls_context;
  const at = [...path, 'transport_socket', 'typed_config', 'common_tls_context'];
  const found: [SdsSecretConfig, Path][] = common.tls_certificate_sds_secret_configs.map((secret, index) => [
    secret,
    [...at, 'tls_certificate_sds_secret_configs', index],
  ]);
  const whole = common.validation_context_sds_secret_config;
  if (whole !== undefined) found.push([whole, [...at, 'validation_context_sds_secret_config']]);
  const half = common.combined_validation_context?.validation_context_sds_secret_config;
  if (half !== undefined) {
    found.push([half, [...at, 'combined_validation_context', 'validation_context_sds_secret_config']]);
  }
  return found;
}

function resolveAgent({ sds_config: config }: SdsSecretConfig, path: Path, clusters: readonly Cluster[]): Problem[] {
  const [service] = config.api_config_source?.grpc_services ?? [];
  if (service?.envoy_grpc === undefined) return [];
  const name = service.envoy_grpc.cluster_name;
  const at = [...path, 'sds_config', 'api_config_source', 'grpc_services', 0, 'envoy_grpc', 'cluster_name'];
  const cluster = clusters.find((one) => one.name === name);
  if (cluster === undefined) {
    const names = clusters.map((one) => one.name);
    return [new Problem(`cluster "${name}" is not defined`, { path: at, suggestion: nearest(name, names) })];
  }
  const address = cluster.load_assignment?.endpoints[0]?.lb_endpoints[0]?.endpoint?.address;
  if (address?.pipe === undefined) {
    return [
      new Problem(`cluster "${name}" is no agent on a Unix socket`, { path: at, allowed: 'an endpoint with pipe' }),
    ];
  }
  service.google_grpc = { target_uri: `unix://${address.pipe.path}`, stat_prefix: name };
  delete service.envoy_grpc;
  return [];
}
