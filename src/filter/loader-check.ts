import type { AnyHttpFilter, AnyNetworkFilter } from './registry.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';

export type FilterKind = 'http' | 'network';
export type AnyFilter = AnyHttpFilter | AnyNetworkFilter;

/** The hooks of each kind of filter. */
export const HOOKS: Readonly<Record<FilterKind, readonly string[]>> = {
  http: [
    'onRequest',
    'onRequestBody',
    'onRequestTrailers',
    'onResponse',
    'onResponseBody',
    'onResponseTrailers',
    'onDone',
    'onStart',
    'dispose',
  ],
  network: ['onConnection', 'onData', 'onWrite', 'onClose', 'dispose'],
};

const ALL_HOOKS: ReadonlySet<string> = new Set([...HOOKS.http, ...HOOKS.network]);

const SEMANTICS: Readonly<Record<string, readonly string[]>> = {
  side: ['ingress', 'egress', 'either'],
  state: ['none', 'connection', 'process'],
  body: ['none', 'read', 'write'],
};

/** What is wrong with a value that should be a filter definition, or undefined. Types say the same to those who check them. */
export function definitionProblem(value: unknown): string | undefined {
  if (typeof value === 'function') return 'is a function; export what defineHttpFilter({ … }) returns';
  if (typeof value !== 'object' || value === null) {
    return `is ${value === null ? 'null' : `a ${typeof value}`}; export what defineHttpFilter({ … }) returns`;
  }
  const filter = value as Record<string, unknown>;
  if (typeof filter.name !== 'string' || filter.name === '') return 'has no name: a non-empty string';
  const named = `'${filter.name}'`;
  if (typeof filter.create !== 'function') return `${named} has no create(config, env) that returns the hooks`;
  const semantics = filter.semantics as Record<string, unknown> | undefined;
  if (typeof semantics !== 'object' || semantics === null) {
    return `${named} has no semantics, such as { side: 'either', state: 'none', body: 'none' }`;
  }
  for (const [field, allowed] of Object.entries(SEMANTICS)) {
    if (allowed.includes(semantics[field] as string)) continue;
    return `${named} has semantics.${field} ${JSON.stringify(semantics[field])}; one of ${allowed.join(', ')}`;
  }
  if (filter.onError !== undefined && filter.onError !== 'open' && filter.onError !== 'closed') {
    return `${named} has onError ${JSON.stringify(filter.onError)}; one of closed, open`;
  }
  const { timeoutMs } = filter;
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0 && Number.isFinite(timeoutMs))) {
    return `${named} has timeoutMs ${String(timeoutMs)}; a number of milliseconds above 0`;
  }
  for (const field of ['config', 'routeConfig']) {
    const schema = filter[field] as StandardSchemaV1 | undefined;
    if (schema === undefined || typeof schema?.['~standard']?.validate === 'function') continue;
    return `${named} has a ${field} that is no Standard Schema (valibot, zod and arktype make them)`;
  }
  return undefined;
}

/** What is wrong with what `create` returned, or undefined. */
export function hooksProblem(hooks: unknown, kind: FilterKind | 'any'): string | undefined {
  if (hooks instanceof Promise)
    return 'create returned a promise; load what it needs at the top of the module with await';
  if (typeof hooks !== 'object' || hooks === null)
    return `create returned ${String(hooks)}; it returns an object of hooks`;
  const names = Object.keys(hooks);
  const actual = kind === 'any' ? kindOfHooks(hooks) : kind;
  for (const name of names) {
    // Hooks may be an object of a class: its other fields are its own affair, a misspelt hook is not.
    if (!/^on[A-Z]/.test(name) && !ALL_HOOKS.has(name)) continue;
    if (!HOOKS[actual].includes(name)) {
      const other = actual === 'http' ? 'network' : 'http';
      return HOOKS[other].includes(name)
        ? `create returned the hook ${name}, which belongs to ${other} filters; this place takes ${actual} filters`
        : `create returned an unknown hook ${name}; hooks of ${actual} filters are ${HOOKS[actual].join(', ')}`;
    }
    const hook = (hooks as Record<string, unknown>)[name];
    if (hook !== undefined && typeof hook !== 'function') return `create returned ${name}, which is not a function`;
  }
  return undefined;
}

/** A definition does not say what it is for; its hooks do. */
export function kindOfHooks(hooks: object): FilterKind {
  return HOOKS.network.some((name) => name !== 'dispose' && name in hooks) ? 'network' : 'http';
}
