import type { NetworkFilter } from '../config/schema/listener.ts';
import { checkModuleConfig, filterEnv, isModule, loadModule } from '../filter/configured-filter.ts';
import type { LoadedFilterModule } from '../filter/loader.ts';
import type { AnyNetworkFilter, FilterRegistry } from '../filter/registry.ts';
import type { ConfiguredNetworkFilter } from '../network/network-filter-chain.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';

/** What network filters are created with. */
export interface NetworkFilterContext {
  readonly runtime: Runtime;
  readonly registry: FilterRegistry;
  readonly stats: StatsScope;
}

interface Source {
  readonly name: string;
  readonly rawConfig: unknown;
  readonly module: LoadedFilterModule<'network'> | undefined;
  configured: ConfiguredNetworkFilter;
}

/** Connections that were accepted with old hooks may go on with them for so long after a replacement. */
const DISPOSE_AFTER_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 5000;

/** The network filters of one filter chain; custom ones follow their files. */
export class NetworkFilters {
  private readonly sources: readonly Source[];
  private readonly context: NetworkFilterContext;
  private readonly unwatch: (() => void)[] = [];

  private constructor(sources: readonly Source[], context: NetworkFilterContext) {
    this.sources = sources;
    this.context = context;
  }

  /** @throws what loading a module or creating a filter throws */
  static async create(filters: readonly NetworkFilter[], context: NetworkFilterContext): Promise<NetworkFilters> {
    const sources: Source[] = [];
    for (const filter of filters) sources.push(await sourceOf(filter, context));
    return new NetworkFilters(sources, context);
  }

  get configured(): readonly ConfiguredNetworkFilter[] {
    return this.sources.map((source) => source.configured);
  }

  /** Calls `onChange` whenever a custom filter was replaced by a new version of itself. */
  async watch(onChange: () => void): Promise<void> {
    const custom = this.sources.filter((source) => source.module !== undefined);
    if (custom.length === 0) return;
    const { watchFilterModule } = await import('../filter/watch.ts');
    const log = this.context.runtime.log.component('filter');
    for (const source of custom) {
      const onLoad = async (module: LoadedFilterModule<'network'> | Error): Promise<void> => {
        if (module instanceof Error) return;
        try {
          const { definition } = module;
          const old = source.configured;
          const config = await checkModuleConfig(source.name, definition.config, source.rawConfig);
          source.configured = configure(source.name, definition, config, this.context);
          disposeLater(old);
          onChange();
        } catch (error) {
          log.warn(`${source.name} goes on in its old version: ${(error as Error).message}`);
        }
      };
      this.unwatch.push(
        watchFilterModule(source.module as LoadedFilterModule<'network'>, (module) => void onLoad(module), { log }),
      );
    }
  }

  dispose(): void {
    for (const stop of this.unwatch) stop();
    for (const source of this.sources) source.configured.hooks.dispose?.();
  }
}

function disposeLater(filter: ConfiguredNetworkFilter): void {
  if (filter.hooks.dispose !== undefined) setTimeout(() => filter.hooks.dispose?.(), DISPOSE_AFTER_MS).unref();
}

async function sourceOf(filter: NetworkFilter, context: NetworkFilterContext): Promise<Source> {
  const { name, typed_config: typed } = filter;
  if (isModule(typed, 'network')) {
    const module = (await loadModule(typed, 'network', context.runtime)) as LoadedFilterModule<'network'>;
    const rawConfig = typed.value.config;
    const config = await checkModuleConfig(name, module.definition.config, rawConfig);
    return { name, rawConfig, module, configured: configure(name, module.definition, config, context) };
  }
  const definition = context.registry.network.get(typed.type);
  if (definition === undefined) throw new Error(`no network filter for ${typed.type}`);
  const configured = configure(name, definition, typed.value, context);
  return { name, rawConfig: typed.value, module: undefined, configured };
}

function configure(
  name: string,
  definition: AnyNetworkFilter,
  config: unknown,
  { runtime, stats }: NetworkFilterContext,
): ConfiguredNetworkFilter {
  const env = filterEnv<never>(name, runtime, stats, [], noSlots);
  const hooks = definition.create(config, env);
  return {
    name,
    definition,
    hooks: runtime.probe === undefined ? hooks : runtime.probe.filterHooks(name, hooks),
    timeoutMs: definition.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  };
}

function noSlots(): number {
  throw new Error('slots belong to HTTP streams; a network filter keeps its state in a WeakMap by stream');
}
