import type { FilterModule } from '../config/extensions.ts';
import type { TypedConfig } from '../config/typed-config.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';
import { type FilterEnv, Slot } from './env.ts';
import type { LoadedFilterModule } from './loader.ts';
import type { FilterKind } from './loader-check.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';

const MODULE_TYPES: Readonly<Record<FilterKind, string>> = {
  http: 'outrigger.v1.HttpFilterModule',
  network: 'outrigger.v1.NetworkFilterModule',
};

/** Whether a `typed_config` names a custom module. */
export function isModule(config: TypedConfig, kind: FilterKind): config is TypedConfig<FilterModule> {
  return config.type === MODULE_TYPES[kind];
}

/** Loads the module that a `typed_config` names. @throws FilterLoadError */
export async function loadModule(
  config: TypedConfig<FilterModule>,
  kind: FilterKind,
  runtime: Runtime,
): Promise<LoadedFilterModule<FilterKind>> {
  const { loadFilterModule } = await import('./loader.ts');
  const module = await loadFilterModule(config.value.module, {
    kind,
    baseDir: runtime.baseDir,
    ...(runtime.filterDir === undefined ? {} : { filterDir: runtime.filterDir }),
  });
  runtime.onCustomFilter();
  return module;
}

/** The environment of a filter that is about to be created. `nextSlot` reserves a place in the streams of its chain. */
export function filterEnv<R>(
  name: string,
  runtime: Runtime,
  stats: StatsScope,
  routeConfigs: readonly R[],
  nextSlot: () => number,
): FilterEnv<R> {
  return {
    name,
    stats,
    routeConfigs,
    log: runtime.log.component(`filter ${name}`),
    slot: <T>() => new Slot<T>(nextSlot()),
    shared: runtime.shared.get,
    sharedCount: (key) => runtime.shared.count(key),
    proxy: runtime.facts,
    calls: runtime.calls,
    taps: runtime.taps,
  };
}

/** Validates by a custom filter's own schema. @throws Error that names the filter and every problem */
export async function checkModuleConfig(
  name: string,
  schema: StandardSchemaV1 | undefined,
  config: unknown,
): Promise<unknown> {
  if (schema === undefined) return config;
  const result = await schema['~standard'].validate(config);
  if (result.issues === undefined) return result.value;
  const problems = result.issues.map((issue) => {
    const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw new Error(`filter ${name}: ${problems.join('; ')}`);
}
