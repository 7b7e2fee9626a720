import { HTTP_INSPECTOR, ORIGINAL_DST, PROXY_PROTOCOL, TLS_INSPECTOR } from '../config/extensions.ts';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { ListenerFilterMatch } from '../config/schema/listener-filter-match.ts';
import type { ProxyProtocol } from '../config/schema/proxy-protocol.ts';
import type { StatsScope } from '../observe/stats.ts';
import { asksFirstBytes } from './filter-chain-match.ts';
import type { ListenerDirectory } from './listener-directory.ts';
import type { ConfiguredListenerFilter, IncomingConnection, ListenerFilter } from './listener-filters.ts';

/** What a listener filter is made from. */
export interface ListenerFilterContext {
  /** The validated message of its type. */
  readonly config: unknown;
  /** The listener's statistics. */
  readonly scope: StatsScope;
  /** That of all statistics. */
  readonly root: StatsScope;
  /** All listeners of the thread. */
  readonly directory: ListenerDirectory;
}

/** Makes the filters that may stand under `listener_filters`, by type. Each is loaded when a listener names it. */
const LOADERS: Readonly<Record<string, (context: ListenerFilterContext) => Promise<ListenerFilter>>> = {
  [HTTP_INSPECTOR]: async ({ scope }) => new (await import('./http-inspector.ts')).HttpInspector(scope),
  [PROXY_PROTOCOL]: async ({ config, root }) =>
    new (await import('./proxy-protocol-filter.ts')).ProxyProtocolFilter(config as ProxyProtocol, root),
  [ORIGINAL_DST]: async ({ scope, directory }) => new (await import('./original-dst.ts')).OriginalDst(scope, directory),
  [TLS_INSPECTOR]: async ({ scope }) => new (await import('./tls-inspector.ts')).TlsInspector(scope),
};

/** The filters of a listener in order. What it needs without naming it is added at the end, as Envoy does. */
export async function loadListenerFilters(
  config: ListenerConfig,
  scope: StatsScope,
  root: StatsScope,
  directory: ListenerDirectory,
): Promise<ConfiguredListenerFilter[]> {
  const filters: ConfiguredListenerFilter[] = [];
  const add = async (type: string, value: unknown, disabled?: ListenerFilterMatch): Promise<void> => {
    const loader = LOADERS[type];
    if (loader === undefined) throw new Error(`${type} is no listener filter`);
    const filter = await loader({ config: value, scope, root, directory });
    filters.push({ filter, isDisabled: disabled === undefined ? undefined : compileMatch(disabled) });
  };
  for (const { typed_config: typed, filter_disabled: disabled } of config.listener_filters)
    await add(typed.type, typed.value, disabled);
  const hasOriginalDst = config.listener_filters.some((filter) => filter.typed_config.type === ORIGINAL_DST);
  if (config.use_original_dst && !hasOriginalDst) await add(ORIGINAL_DST, {});
  const hasInspector = config.listener_filters.some((filter) => filter.typed_config.type === TLS_INSPECTOR);
  if (!hasInspector && config.filter_chains.some((chain) => asksFirstBytes(chain.filter_chain_match))) {
    await add(TLS_INSPECTOR, {});
  }
  return filters;
}

/** For which connections a filter is left out. The port is that of the local end as it is known by then. */
function compileMatch(match: ListenerFilterMatch): (incoming: IncomingConnection) => boolean {
  const { or_match: any, and_match: all, not_match: not, destination_port_range: range } = match;
  if (any !== undefined) {
    const rules = any.rules.map(compileMatch);
    return (incoming) => rules.some((rule) => rule(incoming));
  }
  if (all !== undefined) {
    const rules = all.rules.map(compileMatch);
    return (incoming) => rules.every((rule) => rule(incoming));
  }
  if (not !== undefined) {
    const rule = compileMatch(not);
    return (incoming) => !rule(incoming);
  }
  if (range !== undefined) return ({ localPort }) => localPort >= range.start && localPort < range.end;
  return () => true;
}

/** Whether connections of a listener are told where their clients wanted to go. */
export function restoresDestinations({ use_original_dst: asks, listener_filters: filters }: ListenerConfig): boolean {
  return asks || filters.some((filter) => filter.typed_config.type === ORIGINAL_DST);
}
