import {
  chainsOf,
  inSnakeCase,
  isMap,
  listAt,
  MANAGER,
  mapAt,
  TCP_PROXY,
  terminal,
  typeOf,
} from './bootstrap-parts.ts';
import { type Canonical, type Fragments, type NamedFilter, PHASES, type PhasedFilter } from './policy.ts';
import { dropUnused, narrowHosts } from './scope.ts';

/** What cannot be put together, in words; shown with the name of the policy. */
export class MergeError extends Error {
  override name = 'MergeError';
}

/** Fragments of one policy, with the name to blame. */
export interface NamedFragments {
  readonly title: string;
  readonly fragments: Fragments;
}

export interface MergeOptions {
  /** Only these listeners; undefined: all of them. */
  readonly listeners?: readonly string[] | undefined;
}

const TLS_INSPECTOR = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' },
};
/** These answer for the proxy itself or before a browser may say who it is, so they stay in front. */
const STAY_IN_FRONT = /\.(health_check|cors)\.v3\./;

/**
 * A bootstrap with policies in it. The bootstrap is canonical plain data, keys in snake_case, and stays as it is.
 *
 * @throws MergeError when a policy sets what the file or another policy has set, or there is nothing it could be put into
 */
export function mergePolicies(
  bootstrap: Canonical,
  policies: readonly NamedFragments[],
  options: MergeOptions = {},
): Canonical {
  const merged = structuredClone(bootstrap);
  const resources = mapAt(merged, 'static_resources');
  const listeners = listAt(resources, 'listeners').filter(
    ({ name }) => options.listeners === undefined || options.listeners.includes(String(name)),
  );
  if (listeners.length === 0) {
    const names = listAt(resources, 'listeners')
      .map(({ name }) => name)
      .join(', ');
    throw new MergeError(`there is no such listener; the file has ${names === '' ? 'none' : names}`);
  }
  const ownClusters = [...listAt(resources, 'clusters')];
  for (const policy of policies) {
    attempt(policy.title, () => {
      mergeClusters(resources, ownClusters, policy.fragments);
      for (const listener of listeners) mergeListener(listener, policy.fragments);
    });
  }
  narrow(merged, listeners, policies);
  for (const listener of listeners) {
    for (const chain of chainsOf(listener)) insertFilters(chain, policies);
    wrapInTls(listener, policies);
  }
  return merged;
}

function attempt(title: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (error instanceof MergeError) error.message = `${title}: ${error.message}`;
    throw error;
  }
}

function mergeClusters(resources: Canonical, own: readonly Canonical[], fragments: Fragments): void {
  const { destination, destinations, clusters = [] } = fragments;
  if (destination !== undefined) {
    const missing = destinations?.find((name) => !own.some((cluster) => cluster.name === name));
    if (missing !== undefined) {
      const names = own.map(({ name }) => name).join(', ');
      throw new MergeError(`there is no cluster "${missing}"; the file has ${names === '' ? 'none' : names}`);
    }
    const meant = own.filter(({ name }) => destinations === undefined || destinations.includes(String(name)));
    for (const cluster of meant) mergeFields(cluster, destination, `cluster ${cluster.name}`);
  }
  const list = listAt(resources, 'clusters');
  for (const cluster of clusters) {
    const there = list.find(({ name }) => name === cluster.name);
    if (there === undefined) list.push(cluster);
    else if (JSON.stringify(there) !== JSON.stringify(cluster))
      throw new MergeError(`the file has another cluster "${cluster.name}"`);
  }
}

function mergeListener(listener: Canonical, fragments: Fragments): void {
  if (fragments.listener !== undefined) {
    for (const [key, value] of Object.entries(fragments.listener)) {
      inSnakeCase(listener, key);
      listener[key] ??= value;
    }
  }
  const name = `listener ${listener.name}`;
  for (const chain of chainsOf(listener)) {
    const manager = terminal(chain, MANAGER);
    const proxy = manager ?? terminal(chain, TCP_PROXY);
    if (proxy !== undefined && fragments.accessLogs !== undefined) {
      listAt(proxy, 'access_log').push(...structuredClone(fragments.accessLogs as Canonical[]));
    }
    if (manager !== undefined) mergeManager(manager, fragments, name);
    else if (needsHttp(fragments))
      throw new MergeError(`${name} speaks no HTTP, so nothing there could enforce it; name others with --listener`);
  }
}

/** A policy that passes a listener without being enforced is a hole. */
function needsHttp({ httpFilters, networkFilters, virtualHost, manager, downstreamTls }: Fragments): boolean {
  if (virtualHost !== undefined || (manager !== undefined && httpFilters === undefined))
    return downstreamTls === undefined;
  return httpFilters !== undefined && networkFilters === undefined;
}

function mergeManager(manager: Canonical, fragments: Fragments, name: string): void {
  if (fragments.manager !== undefined) mergeFields(manager, fragments.manager, name);
  const { virtualHost } = fragments;
  if (virtualHost === undefined) return;
  for (const host of listAt(mapAt(manager, 'route_config'), 'virtual_hosts')) {
    const where = `virtual host ${host.name}`;
    mergeFields(host, virtualHost, where);
    for (const [index, { route }] of listAt(host, 'routes').entries()) {
      if (isMap(route)) mergeRoute(route, virtualHost, `route ${index} of ${where}`);
    }
  }
}

/** What a route says counts more than what its virtual host says: the policy would not hold there. */
function mergeRoute(route: Canonical, virtualHost: Canonical, where: string): void {
  for (const key of Object.keys(virtualHost)) {
    inSnakeCase(route, key);
    if (route[key] === undefined) continue;
    if (key !== 'rate_limits') throw new MergeError(`${where} has ${key} already`);
    inSnakeCase(route, 'include_vh_rate_limits');
    route.include_vh_rate_limits = true;
  }
}

/** Several scopes are one: what one of them lets see is seen. */
function narrow(bootstrap: Canonical, listeners: readonly Canonical[], policies: readonly NamedFragments[]): void {
  const scopes = policies.flatMap(({ fragments }) => (fragments.scope === undefined ? [] : [fragments.scope]));
  if (scopes.length === 0) return;
  const removed: Canonical[] = [];
  for (const chain of listeners.flatMap(chainsOf)) {
    const manager = terminal(chain, MANAGER);
    if (manager === undefined) continue;
    removed.push(...narrowHosts(listAt(mapAt(manager, 'route_config'), 'virtual_hosts'), scopes.flat()));
  }
  dropUnused(bootstrap, listAt(mapAt(bootstrap, 'static_resources'), 'clusters'), removed);
}

/** Filters of all policies in the order of their phases, in front of those that the file has. */
function insertFilters(chain: Canonical, policies: readonly NamedFragments[]): void {
  const manager = terminal(chain, MANAGER);
  if (manager === undefined) {
    const network = policies.flatMap(({ fragments }) => fragments.networkFilters ?? []);
    chain.filters = [...combined(inPhases(network)), ...listAt(chain, 'filters')];
    return;
  }
  const found = policies.flatMap(({ fragments }) => fragments.httpFilters ?? []);
  const filters = listAt(manager, 'http_filters');
  const made = combined(inPhases(found));
  for (const { name } of made) {
    if (filters.some((filter) => filter.name === name))
      throw new MergeError(`a filter "${name}" is in the file already: policies go into a file once`);
  }
  const front = filters.findIndex((filter) => !STAY_IN_FRONT.test(typeOf(filter)));
  filters.splice(Math.max(0, front), 0, ...(made as unknown as Canonical[]));
}

function inPhases(filters: readonly PhasedFilter[]): NamedFilter[] {
  return PHASES.flatMap((phase) => filters.filter((one) => one.phase === phase).map(({ filter }) => filter));
}

/** One filter per name: what several policies say to it is put together. */
function combined(filters: readonly NamedFilter[]): NamedFilter[] {
  const byName = new Map<string, NamedFilter>();
  for (const filter of filters) {
    const there = byName.get(filter.name);
    if (there === undefined) byName.set(filter.name, structuredClone(filter));
    else combineConfig(there.typed_config, filter);
  }
  return [...byName.values()];
}

function combineConfig(config: Canonical, filter: NamedFilter): void {
  if (/\.rbac\.v3\.RBAC$/.test(String(config['@type']))) {
    const rules = mapAt(filter.typed_config, 'rules');
    Object.assign(mapAt(mapAt(config, 'rules'), 'policies'), structuredClone(mapAt(rules, 'policies')));
    return;
  }
  throw new MergeError(`two policies need the filter "${filter.name}": put them into one`);
}

/** Every filter chain behind TLS; beside plain text where that is allowed. */
function wrapInTls(listener: Canonical, policies: readonly NamedFragments[]): void {
  const wanted = policies.filter(({ fragments }) => fragments.downstreamTls !== undefined);
  const [first, second] = wanted;
  if (first === undefined) return;
  if (second !== undefined)
    throw new MergeError(`${first.title} and ${second.title} both say how the listener speaks TLS`);
  const { isOptional, socket } = first.fragments.downstreamTls!;
  const chains = chainsOf(listener);
  for (const chain of chains) for (const key of ['transport_socket', 'filter_chain_match']) inSnakeCase(chain, key);
  if (chains.some((chain) => chain.transport_socket !== undefined))
    throw new MergeError(`${first.title}: listener ${listener.name} speaks TLS already`);
  const plain = isOptional ? chains.map((chain) => matched(chain, 'raw_buffer')) : [];
  const secured = chains.map((chain) => ({
    ...(isOptional ? matched(chain, 'tls') : chain),
    transport_socket: withProtocols(socket, terminal(chain, MANAGER)),
  }));
  delete listener.default_filter_chain;
  listener.filter_chains = [...secured, ...plain];
  if (!isOptional) return;
  const inspectors = listAt(listener, 'listener_filters');
  if (!inspectors.some((filter) => typeOf(filter).includes('TlsInspector')))
    inspectors.push(structuredClone(TLS_INSPECTOR));
}

/** Where HTTP is spoken, clients learn which versions in the handshake (RFC 7301). */
function withProtocols(socket: Canonical, manager: Canonical | undefined): Canonical {
  const copy = structuredClone(socket);
  if (manager === undefined) return copy;
  inSnakeCase(manager, 'codec_type');
  const { codec_type: codec } = manager;
  const protocols = codec === 'HTTP1' ? ['http/1.1'] : codec === 'HTTP2' ? ['h2'] : ['h2', 'http/1.1'];
  mapAt(mapAt(copy, 'typed_config'), 'common_tls_context').alpn_protocols = protocols;
  return copy;
}

function matched(chain: Canonical, transport_protocol: string): Canonical {
  const copy = structuredClone(chain);
  return { ...copy, filter_chain_match: { ...(copy.filter_chain_match as Canonical | undefined), transport_protocol } };
}

/** Adds fields; what is there already may be added to, not replaced. */
function mergeFields(target: Canonical, fields: Canonical, where: string): void {
  for (const [key, value] of Object.entries(fields)) {
    inSnakeCase(target, key);
    const there = target[key];
    if (there === undefined) target[key] = structuredClone(value);
    else if (key === 'thresholds') mergeThresholds(there as Canonical[], value as Canonical[], where);
    else if (key === 'rate_limits') (there as Canonical[]).push(...structuredClone(value as Canonical[]));
    else if (
      isMap(there) &&
      isMap(value) &&
      there['@type'] === undefined &&
      key !== 'retry_policy' &&
      key !== 'tracing'
    )
      mergeFields(there, value, where);
    else if (JSON.stringify(there) !== JSON.stringify(value)) throw new MergeError(`${where} has ${key} already`);
  }
}

/** Policies speak of the default priority. */
function mergeThresholds(there: Canonical[], added: readonly Canonical[], where: string): void {
  const usual = there.find(({ priority }) => priority === undefined || priority === 'DEFAULT');
  if (usual === undefined) there.push(...structuredClone(added as Canonical[]));
  else for (const one of added) mergeFields(usual, one, where);
}
