import { redact } from './redact.ts';
import { AdminError } from './reply.ts';
import type { ClusterView, ConfigView } from './view.ts';

const ADMIN = 'type.googleapis.com/envoy.admin.v3.';

type Json = Record<string, unknown>;

export interface ConfigDumpQuery {
  /** A repeated field of a dump, such as `static_listeners`. */
  readonly resource: string | undefined;
  /** Comma-separated field paths to keep. */
  readonly mask: string | undefined;
  /** Tests names of resources. */
  readonly acceptsName: ((name: string) => boolean) | undefined;
  readonly includeEds: boolean;
}

/**
 * Envoy's config_dump: one dump per kind of resource, secrets redacted.
 *
 * @throws AdminError for a resource that does not exist
 */
export function dumpConfig(config: ConfigView, clusters: readonly ClusterView[], query: ConfigDumpQuery): Json {
  const dumps = makeDumps(config, clusters, query);
  if (query.resource === undefined) {
    const masked = query.mask === undefined ? dumps : dumps.map((dump) => applyMask(dump, query.mask as string));
    return { configs: masked.filter((dump) => Object.keys(dump).length > 1) };
  }
  return { configs: resourceOf(dumps, query.resource, query.mask) };
}

function resourceOf(dumps: readonly Json[], resource: string, mask: string | undefined): Json[] {
  for (const dump of dumps) {
    if (!Object.hasOwn(dump, resource)) continue;
    const items = dump[resource];
    if (!Array.isArray(items)) {
      throw new AdminError(400, `${resource} is not a repeated field. Use ?mask=${resource} to get only this field\n`);
    }
    const kind = String(dump['@type']);
    return items.map((item: Json) => {
      const masked = mask === undefined ? item : applyMask(item, mask);
      return { '@type': `${kind}.${singular(resource)}`, ...masked };
    });
  }
  throw new AdminError(404, `${resource} not found in config dump\n`);
}

/** `static_route_configs` → `StaticRouteConfig`. */
function singular(resource: string): string {
  return resource.replace(/s$/, '').replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function makeDumps(config: ConfigView, clusters: readonly ClusterView[], query: ConfigDumpQuery): Json[] {
  const bootstrap = redact(config.bootstrap) as Json;
  const resources = (bootstrap.static_resources ?? bootstrap.staticResources ?? {}) as Record<string, Json[]>;
  const last_updated = new Date(config.loadedAtEpochMs).toISOString();
  const named = (items: readonly Json[] | undefined): Json[] =>
    (items ?? []).filter((item) => query.acceptsName?.(String(item.name ?? '')) ?? true);
  const wrap = (field: string, items: readonly Json[] | undefined): Json[] =>
    named(items).map((item) => ({ [field]: item, last_updated }));
  const dumps: Json[] = [
    { '@type': `${ADMIN}BootstrapConfigDump`, bootstrap, last_updated },
    {
      '@type': `${ADMIN}ClustersConfigDump`,
      version_info: config.hash,
      static_clusters: wrap('cluster', resources.clusters),
    },
    {
      '@type': `${ADMIN}ListenersConfigDump`,
      version_info: config.hash,
      static_listeners: wrap('listener', resources.listeners),
    },
    {
      '@type': `${ADMIN}RoutesConfigDump`,
      static_route_configs: wrap('route_config', findRouteConfigs(resources.listeners)),
    },
  ];
  if (resources.secrets !== undefined) {
    dumps.push({ '@type': `${ADMIN}SecretsConfigDump`, static_secrets: wrap('secret', resources.secrets) });
  }
  if (query.includeEds) {
    const static_endpoint_configs = named(clusters as unknown as Json[]).map((cluster) => ({
      endpoint_config: loadAssignment(cluster as unknown as ClusterView),
    }));
    dumps.push({ '@type': `${ADMIN}EndpointsConfigDump`, static_endpoint_configs });
  }
  return dumps;
}

function loadAssignment(cluster: ClusterView): Json {
  const endpoints = cluster.endpoints.map((endpoint) => ({
    endpoint: { address: addressJson(endpoint.address), hostname: endpoint.hostname },
    health_status: endpoint.healthy ? 'HEALTHY' : 'UNHEALTHY',
    load_balancing_weight: endpoint.weight,
  }));
  return { cluster_name: cluster.name, endpoints: endpoints.length === 0 ? [] : [{ lb_endpoints: endpoints }] };
}

/** envoy.config.core.v3.Address of `ip:port` or a pipe path. */
export function addressJson(text: string): Json {
  const colon = text.startsWith('/') || text.startsWith('@') ? -1 : text.lastIndexOf(':');
  if (colon < 0) return { pipe: { path: text } };
  const address = text.slice(0, colon).replace(/^\[|\]$/g, '');
  return { socket_address: { address, port_value: Number(text.slice(colon + 1)) } };
}

/** Every `route_config` below the listeners. */
function findRouteConfigs(value: unknown, found: Json[] = []): Json[] {
  if (Array.isArray(value)) for (const item of value) findRouteConfigs(item, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, field] of Object.entries(value)) {
      if ((key === 'route_config' || key === 'routeConfig') && typeof field === 'object' && field !== null) {
        found.push(field as Json);
      } else findRouteConfigs(field, found);
    }
  }
  return found;
}

/** google.protobuf.FieldMask: keeps the named paths (`a,b.c`); a path goes through every item of a list. */
export function applyMask(message: Json, mask: string): Json {
  const kept: Json = {};
  for (const path of mask.split(',')) copyPath(message, path.trim().split('.'), kept);
  const type = message['@type'];
  return type === undefined ? kept : { '@type': type, ...kept };
}

function copyPath(from: Json, [key, ...rest]: readonly string[], to: Json): void {
  if (key === undefined || !Object.hasOwn(from, key) || key === '__proto__') return;
  const value = from[key];
  if (rest.length === 0 || typeof value !== 'object' || value === null) {
    to[key] = value;
  } else if (Array.isArray(value)) {
    const items = value as Json[];
    to[key] ??= items.map(() => ({}));
    const target = to[key] as Json[];
    for (const [index, item] of items.entries()) copyPath(item, rest, target[index] as Json);
  } else {
    to[key] ??= {};
    copyPath(value as Json, rest, to[key] as Json);
  }
}
