import { FILTER_CONFIG, ROUTER } from '../config/extensions.ts';
import type { HttpFilter } from '../config/schema/http-connection-manager.ts';
import type { TypedConfig } from '../config/typed-config.ts';
import { checkModuleConfig, filterEnv, isModule, loadModule } from '../filter/configured-filter.ts';
import type { LoadedFilterModule } from '../filter/loader.ts';
import type { AnyHttpFilter } from '../filter/registry.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import { type ConfiguredFilter, FilterChain } from './filter-chain.ts';

/** `typed_per_filter_config` of one level (route configuration, virtual host, route, weighted cluster). */
export type PerFilterConfig = Readonly<Record<string, TypedConfig>>;

/** Old hooks are disposed of this long after they were replaced: requests that run with them may finish. */
const DISPOSE_AFTER_MS = 10_000;
const DEFAULT_TIMEOUT_MS = 5000;

/** One filter of the configuration, with the version of its definition that runs now. */
interface Source {
  readonly name: string;
  readonly disabled: boolean;
  definition: AnyHttpFilter;
  config: unknown;
  readonly rawConfig: unknown;
  module: LoadedFilterModule<'http'> | undefined;
  /** Its hooks by the overrides that they were made with ('' for none): chains with the same ones share them. */
  variants: Map<string, ConfiguredFilter>;
  /** Places of its per-stream state. One stream meets one variant of one version, so all of them use the same places. */
  readonly slots: number[];
}

/** A chain for routes with overrides, remade when a custom filter changes. */
interface Override {
  readonly levels: readonly PerFilterConfig[];
  readonly assign: (chain: FilterChain) => void;
}

/**
 * Compiles the HTTP filters of one connection manager: the base chain, and one chain for each set of per-route
 * overrides. Custom filters are loaded here, and replaced when their files change.
 */
export class FilterChains {
  base: FilterChain;
  private readonly sources: readonly Source[];
  private readonly runtime: Runtime;
  private readonly stats: StatsScope;
  private readonly overrides: Override[] = [];
  private readonly unwatch: (() => void)[] = [];
  private slotCount = 0;
  private readonly configIds = new WeakMap<object, number>();
  private lastConfigId = 0;
  /** Called after a custom filter was replaced and the chains were remade. */
  onChange: (() => void) | undefined = undefined;

  private constructor(sources: readonly Source[], runtime: Runtime, stats: StatsScope) {
    this.sources = sources;
    this.runtime = runtime;
    this.stats = stats;
    this.base = this.compile([]);
  }

  /** @throws what loading a module or creating a filter throws */
  static async create(
    filters: readonly HttpFilter[],
    definitions: ReadonlyMap<string, AnyHttpFilter>,
    runtime: Runtime,
    stats: StatsScope,
  ): Promise<FilterChains> {
    const sources: Source[] = [];
    for (const filter of filters) {
      if (filter.typed_config.type !== ROUTER) sources.push(await sourceOf(filter, definitions, runtime));
    }
    return new FilterChains(sources, runtime, stats);
  }

  /** Hands the chain for these levels to `assign`, now and whenever a custom filter was replaced. */
  override(levels: readonly PerFilterConfig[], assign: (chain: FilterChain) => void): void {
    const override = { levels, assign };
    this.overrides.push(override);
    assign(this.chainFor(levels));
  }

  private chainFor(levels: readonly PerFilterConfig[]): FilterChain {
    const concerned = levels.filter((level) => this.sources.some((source) => level[source.name] !== undefined));
    return concerned.length === 0 ? this.base : this.compile(concerned);
  }

  private compile(levels: readonly PerFilterConfig[]): FilterChain {
    const filters: ConfiguredFilter[] = [];
    for (const [order, source] of this.sources.entries()) {
      const overrides = levels.map((level) => level[source.name]).filter((config) => config !== undefined);
      const { disabled, configs } = readOverrides(overrides, source.disabled);
      if (disabled) continue;
      const key = configs.map((config) => this.idOf(config as object)).join(' ');
      let variant = source.variants.get(key);
      if (variant === undefined) {
        variant = this.configure(source, order, configs);
        source.variants.set(key, variant);
      }
      filters.push(variant);
    }
    return new FilterChain(filters);
  }

  /** A number for an object of the configuration. */
  private idOf(config: object): number {
    let id = this.configIds.get(config);
    if (id === undefined) {
      id = ++this.lastConfigId;
      this.configIds.set(config, id);
    }
    return id;
  }

  private configure(source: Source, order: number, routeConfigs: readonly unknown[]): ConfiguredFilter {
    const { definition, name, slots } = source;
    let used = 0;
    const nextSlot = (): number => {
      if (used === slots.length) slots.push(this.slotCount++);
      return slots[used++] as number;
    };
    const env = filterEnv(name, this.runtime, this.stats, routeConfigs, nextSlot);
    const hooks = definition.create(source.config, env);
    const { probe } = this.runtime;
    return {
      name,
      order,
      definition,
      hooks: probe === undefined ? hooks : probe.filterHooks(name, hooks),
      onError: definition.onError ?? 'closed',
      timeoutMs: definition.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    };
  }

  /** The configuration serves: begins what filters do in the background, and follows the files of the custom ones. */
  async watch(): Promise<void> {
    for (const source of this.sources) for (const { hooks } of source.variants.values()) hooks.onStart?.();
    const custom = this.sources.filter((source) => source.module !== undefined && source.module.version !== 'package');
    if (custom.length === 0) return;
    const { watchFilterModule } = await import('../filter/watch.ts');
    const log = this.runtime.log.component('filter');
    for (const source of custom) {
      this.unwatch.push(
        watchFilterModule(
          source.module as LoadedFilterModule<'http'>,
          (result) => {
            if (!(result instanceof Error)) void this.replace(source, result);
          },
          { log },
        ),
      );
    }
  }

  private async replace(source: Source, module: LoadedFilterModule<'http'>): Promise<void> {
    const before = { definition: source.definition, config: source.config, variants: source.variants };
    try {
      source.config = await checkModuleConfig(source.name, module.definition.config, source.rawConfig);
      await module.definition.prepare?.();
      source.definition = module.definition;
      source.variants = new Map();
      // The other filters keep their hooks: their timers and files go on.
      this.remake();
      source.module = module;
      for (const { hooks } of source.variants.values()) hooks.onStart?.();
    } catch (error) {
      Object.assign(source, before);
      this.runtime.log
        .component('filter')
        .warn(`${source.name} goes on in its old version: ${(error as Error).message}`);
      return;
    }
    dispose([...before.variants.values()]);
    this.onChange?.();
  }

  /** Compiles every chain first and hands them out only when all of them stand. */
  private remake(): void {
    const base = this.compile([]);
    const previous = this.base;
    this.base = base;
    try {
      const chains = this.overrides.map(({ levels }) => this.chainFor(levels));
      for (const [index, { assign }] of this.overrides.entries()) assign(chains[index] as FilterChain);
    } catch (error) {
      this.base = previous;
      throw error;
    }
  }

  dispose(): void {
    for (const stop of this.unwatch) stop();
    dispose(this.sources.flatMap((source) => [...source.variants.values()]));
  }
}

function dispose(filters: readonly ConfiguredFilter[]): void {
  const disposable = filters.filter((filter) => filter.hooks.dispose !== undefined);
  if (disposable.length === 0) return;
  setTimeout(() => {
    for (const filter of disposable) filter.hooks.dispose?.();
  }, DISPOSE_AFTER_MS).unref();
}

async function sourceOf(
  filter: HttpFilter,
  definitions: ReadonlyMap<string, AnyHttpFilter>,
  runtime: Runtime,
): Promise<Source> {
  const { name, typed_config: typed, disabled } = filter;
  if (isModule(typed, 'http')) {
    const module = (await loadModule(typed, 'http', runtime)) as LoadedFilterModule<'http'>;
    await module.definition.prepare?.();
    const rawConfig = typed.value.config;
    const config = await checkModuleConfig(name, module.definition.config, rawConfig);
    return { name, disabled, definition: module.definition, config, rawConfig, module, variants: new Map(), slots: [] };
  }
  const definition = definitions.get(typed.type);
  if (definition === undefined) throw new Error(`no filter for ${typed.type}`);
  await definition.prepare?.();
  return {
    name,
    disabled,
    definition,
    config: typed.value,
    rawConfig: typed.value,
    module: undefined,
    variants: new Map(),
    slots: [],
  };
}

interface Overrides {
  readonly disabled: boolean;
  readonly configs: readonly unknown[];
}

/** Unwraps `FilterConfig`; the most specific level decides whether the filter runs. */
function readOverrides(overrides: readonly TypedConfig[], disabledByDefault: boolean): Overrides {
  let disabled = disabledByDefault;
  const configs: unknown[] = [];
  for (const override of overrides) {
    if (override.type !== FILTER_CONFIG) {
      disabled = false;
      configs.push(isModule(override, 'http') ? override.value.config : override.value);
      continue;
    }
    const value = override.value as { disabled?: boolean; config?: TypedConfig };
    disabled = value.disabled === true;
    if (value.config !== undefined) configs.push(value.config.value);
  }
  return { disabled, configs };
}
