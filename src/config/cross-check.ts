import { HTTP_CONNECTION_MANAGER, JWT_AUTHN, ROUTER, TCP_PROXY } from './extensions.ts';
import type { Bootstrap } from './schema/bootstrap.ts';
import type { HttpConnectionManager } from './schema/http-connection-manager.ts';
import type { FilterChain } from './schema/listener.ts';
import type { RouteConfiguration } from './schema/route.ts';
import type { RequestMirrorPolicy, Route } from './schema/route-components.ts';
import { Problem } from './schema/schema.ts';
import type { TcpProxy } from './schema/tcp-proxy.ts';
import type { OpenTelemetryConfig, ZipkinConfig } from './schema/tracing.ts';
import { nearest } from './suggest.ts';
import type { TypedConfig } from './typed-config.ts';

type Path = readonly (string | number)[];

/** Checks what one message alone cannot know: that named clusters exist and that filter chains end as they must. */
export function crossCheck(bootstrap: Bootstrap): Problem[] {
  const checker = new CrossCheck(new Set(bootstrap.static_resources.clusters.map((cluster) => cluster.name)));
  for (const [index, listener] of bootstrap.static_resources.listeners.entries()) {
    const path = ['static_resources', 'listeners', index];
    for (const [position, chain] of listener.filter_chains.entries()) {
      checker.filterChain(chain, [...path, 'filter_chains', position]);
    }
    if (listener.default_filter_chain !== undefined) {
      checker.filterChain(listener.default_filter_chain, [...path, 'default_filter_chain']);
    }
  }
  return checker.problems;
}

/**
 * The same for a file with other faults, of which validation left only parts: each filter chain is checked as far as
 * it was read, and references to clusters only when all clusters have their names.
 */
export function crossCheckPartly(value: unknown): Problem[] {
  const resources = (value as Partial<Bootstrap> | undefined)?.static_resources;
  const names = resources?.clusters?.map((cluster) => cluster?.name);
  const checker = new CrossCheck(names?.every((name) => typeof name === 'string') ? new Set(names) : undefined);
  for (const [index, listener] of (resources?.listeners ?? []).entries()) {
    for (const [position, chain] of (listener?.filter_chains ?? []).entries()) {
      try {
        checker.filterChain(chain, ['static_resources', 'listeners', index, 'filter_chains', position]);
      } catch {
        // Something that was not read is missing here: what is wrong with it has been said.
      }
    }
  }
  return checker.problems;
}

class CrossCheck {
  readonly problems: Problem[] = [];
  private readonly clusters: ReadonlySet<string> | undefined;

  /** @param clusters undefined leaves references unchecked. */
  constructor(clusters: ReadonlySet<string> | undefined) {
    this.clusters = clusters;
  }

  filterChain(chain: FilterChain, path: Path): void {
    for (const [index, filter] of chain.filters.entries()) {
      const at = [...path, 'filters', index];
      const isLast = index === chain.filters.length - 1;
      const { type, value } = filter.typed_config as TypedConfig;
      const isTerminal = type === TCP_PROXY || type === HTTP_CONNECTION_MANAGER;
      if (isTerminal && !isLast) this.report(`"${filter.name}" ends the chain and must be its last filter`, at);
      if (!isTerminal && isLast) {
        this.report(
          `"${filter.name}" does not end the chain`,
          at,
          'tcp_proxy or http_connection_manager as last filter',
        );
      }
      if (type === TCP_PROXY) this.tcpProxy(value as TcpProxy, [...at, 'typed_config']);
      if (type === HTTP_CONNECTION_MANAGER)
        this.connectionManager(value as HttpConnectionManager, [...at, 'typed_config']);
    }
  }

  private tcpProxy(proxy: TcpProxy, path: Path): void {
    if (proxy.cluster !== undefined) this.cluster(proxy.cluster, [...path, 'cluster']);
    for (const [index, entry] of (proxy.weighted_clusters?.clusters ?? []).entries()) {
      this.cluster(entry.name, [...path, 'weighted_clusters', 'clusters', index, 'name']);
    }
  }

  private connectionManager(manager: HttpConnectionManager, path: Path): void {
    this.httpFilters(manager, path);
    this.tracing(manager, path);
    const routes = manager.route_config;
    if (routes === undefined) return;
    const root = [...path, 'route_config'];
    this.directResponses(routes, root);
    if (!routes.validate_clusters) return;
    this.mirrors(routes.request_mirror_policies, root);
    for (const [index, host] of routes.virtual_hosts.entries()) {
      const hostPath = [...root, 'virtual_hosts', index];
      this.mirrors(host.request_mirror_policies, hostPath);
      for (const [position, route] of host.routes.entries()) this.route(route, [...hostPath, 'routes', position]);
    }
  }

  /** Bodies of direct responses are bounded, and the bound is the route configuration's. */
  private directResponses(routes: RouteConfiguration, path: Path): void {
    const limit = routes.max_direct_response_body_size_bytes;
    for (const [i, host] of routes.virtual_hosts.entries()) {
      for (const [j, route] of host.routes.entries()) {
        const body = route.direct_response?.body;
        const bytes = body?.inline_bytes?.length ?? Buffer.byteLength(body?.inline_string ?? '');
        const at = [...path, 'virtual_hosts', i, 'routes', j, 'direct_response', 'body'];
        if (bytes > limit) {
          this.report(`has ${bytes} bytes`, at, `at most ${limit} bytes (max_direct_response_body_size_bytes)`);
        }
      }
    }
  }

  private httpFilters(manager: HttpConnectionManager, path: Path): void {
    const last = manager.http_filters.length - 1;
    if (last < 0) this.report('needs the router', [...path, 'http_filters'], `a filter of type ${ROUTER}`);
    for (const [index, filter] of manager.http_filters.entries()) {
      const isRouter = filter.typed_config.type === ROUTER;
      const at = [...path, 'http_filters', index];
      if (isRouter && index !== last) this.report(`"${filter.name}" ends the chain and must be its last filter`, at);
      if (!isRouter && index === last) {
        this.report(`"${filter.name}" is the last filter`, at, `the router (${ROUTER}) as last filter`);
      }
      if (isRouter && filter.disabled) this.report('the router cannot be disabled', [...at, 'disabled']);
      if (filter.typed_config.type === JWT_AUTHN) this.keyServers(filter.typed_config.value, [...at, 'typed_config']);
    }
  }

  /** Where the keys of tokens come from. */
  private keyServers(config: unknown, path: Path): void {
    const { providers } = config as { providers: Record<string, { remote_jwks?: { http_uri: { cluster: string } } }> };
    for (const [name, { remote_jwks: remote }] of Object.entries(providers)) {
      const at = [...path, 'providers', name, 'remote_jwks', 'http_uri', 'cluster'];
      if (remote !== undefined) this.cluster(remote.http_uri.cluster, at);
    }
  }

  /** Where spans are sent. */
  private tracing(manager: HttpConnectionManager, path: Path): void {
    const at = [...path, 'tracing', 'provider', 'typed_config'];
    const config = manager.tracing?.provider?.typed_config.value as
      | Partial<OpenTelemetryConfig & ZipkinConfig>
      | undefined;
    const grpc = config?.grpc_service?.envoy_grpc.cluster_name;
    const http = config?.http_service?.http_uri.cluster;
    const zipkin = config?.collector_cluster;
    if (grpc !== undefined) this.cluster(grpc, [...at, 'grpc_service', 'envoy_grpc', 'cluster_name']);
    if (http !== undefined) this.cluster(http, [...at, 'http_service', 'http_uri', 'cluster']);
    if (zipkin !== undefined) this.cluster(zipkin, [...at, 'collector_cluster']);
  }

  private route(route: Route, path: Path): void {
    const action = route.route;
    if (action === undefined) return;
    const at = [...path, 'route'];
    if (action.cluster !== undefined) this.cluster(action.cluster, [...at, 'cluster']);
    for (const [index, entry] of (action.weighted_clusters?.clusters ?? []).entries()) {
      if (entry.name !== '') this.cluster(entry.name, [...at, 'weighted_clusters', 'clusters', index, 'name']);
    }
    this.mirrors(action.request_mirror_policies, at);
  }

  private mirrors(policies: readonly RequestMirrorPolicy[], path: Path): void {
    for (const [index, policy] of policies.entries()) {
      if (policy.cluster !== '') this.cluster(policy.cluster, [...path, 'request_mirror_policies', index, 'cluster']);
    }
  }

  private cluster(name: string, path: Path): void {
    if (this.clusters === undefined || this.clusters.has(name)) return;
    const known = [...this.clusters];
    const allowed = known.length === 0 ? 'no clusters are defined' : known.slice(0, 10).join(', ');
    this.problems.push(
      new Problem(`the cluster "${name}" does not exist`, { path, allowed, suggestion: nearest(name, known) }),
    );
  }

  private report(message: string, path: Path, allowed?: string): void {
    this.problems.push(new Problem(message, { path, allowed }));
  }
}
