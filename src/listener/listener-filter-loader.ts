import { HTTP_INSPECTOR, PROXY_PROTOCOL, TLS_INSPECTOR } from '../config/extensions.ts';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { ListenerFilterMatch } from '../config/schema/listener-filter-match.ts';
import type { ProxyProtocol } from '../config/schema/proxy-protocol.ts';
import type { StatsScope } from '../observe/stats.ts';
import { asksFirstBytes } from './filter-chain-match.ts';
import type { ConfiguredListenerFilter, IncomingConnection, ListenerFilter } from './listener-filters.ts';

/** What a listener filter is made from. */
export interface ListenerFilterContext {
  /** The validated message of its type. */
  readonly config: unknown;
  /** The listener's statistics. */
  readonly scope: StatsScope;
  /** That of all statistics. */
  readonly root: StatsScope;
}

/** Makes the filters that may stand under `listener_filters`, by type. Each is loaded when a listener names it. */
const LOADERS: Readonly<Record<string, (context: ListenerFilterContext) => Promise<ListenerFilter>>> = {
  [HTTP_INSPECTOR]: async ({ scope }) => new (await import('./http-inspector.ts')).HttpInspector(scope),
  [PROXY_PROTOCOL]: async ({ config, root }) =>
    new (await import('./proxy-protocol-filter.ts')).ProxyProtocolFilter(config as ProxyProtocol, root),
  [TLS_INSPECTOR]: async ({ scope }) => new (await import('./tls-inspector.ts')).TlsInspector(scope),
};

/** The filters of a listener in order. What its chains cannot be chosen without is added at the end, as Envoy does. */
export async function loadListenerFilters(
  config: ListenerConfig,
  scope: StatsScope,
  root: StatsScope,
): Promise<ConfiguredListenerFilter[]> {
  const filters: ConfiguredListenerFilter[] = [];
  const add = async (type: string, value: unknown, disabled?: ListenerFilterMatch): Promise<void> => {
    const loader = LOADERS[type];
    if (loader === undefined) throw new Error(`${type} is no listener filter`);
    const filter = await loader({ config: value, scope, root });
    filters.push({ filter, isDisabled: disabled === undefined ? undefined : compileMatch(disabled) });
  };
  for (const { typed_config: typed, filter_disabled: disabled } of config.listener_filters)
    await add(typed.type, typed.value, disabled);
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
