import { TLS_INSPECTOR } from '../config/extensions.ts';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { StatsScope } from '../observe/stats.ts';
import { asksFirstBytes } from './filter-chain-match.ts';
import type { ConfiguredListenerFilter, ListenerFilter } from './listener-filters.ts';

/** What a listener filter is made from. */
export interface ListenerFilterContext {
  /** The validated message of its type. */
  readonly config: unknown;
  /** The listener's statistics. */
  readonly scope: StatsScope;
}

/** Makes the filters that may stand under `listener_filters`, by type. Each is loaded when a listener names it. */
const LOADERS: Readonly<Record<string, (context: ListenerFilterContext) => Promise<ListenerFilter>>> = {
  [TLS_INSPECTOR]: async ({ scope }) => new (await import('./tls-inspector.ts')).TlsInspector(scope),
};

/** The filters of a listener in order. What its chains cannot be chosen without is added at the end, as Envoy does. */
export async function loadListenerFilters(
  config: ListenerConfig,
  scope: StatsScope,
): Promise<ConfiguredListenerFilter[]> {
  const filters: ConfiguredListenerFilter[] = [];
  const add = async (type: string, value: unknown): Promise<void> => {
    const loader = LOADERS[type];
    if (loader === undefined) throw new Error(`${type} is no listener filter`);
    filters.push({ filter: await loader({ config: value, scope }) });
  };
  for (const { typed_config: typed } of config.listener_filters) await add(typed.type, typed.value);
  const hasInspector = config.listener_filters.some((filter) => filter.typed_config.type === TLS_INSPECTOR);
  if (!hasInspector && config.filter_chains.some((chain) => asksFirstBytes(chain.filter_chain_match))) {
    await add(TLS_INSPECTOR, {});
  }
  return filters;
}
