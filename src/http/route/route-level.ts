import type { HeaderValueOption } from '../../config/schema/core.ts';
import type { TypedConfig } from '../../config/typed-config.ts';
import { compileHeaderMutations, type HeaderMutator } from './header-mutations.ts';

/** `typed_per_filter_config` of one level: filter name → configuration. */
export type PerFilterConfig = Readonly<Record<string, TypedConfig>>;

/** What route configurations, virtual hosts, routes and weighted clusters have in common. */
export interface LevelConfig {
  readonly request_headers_to_add: readonly HeaderValueOption[];
  readonly request_headers_to_remove: readonly string[];
  readonly response_headers_to_add: readonly HeaderValueOption[];
  readonly response_headers_to_remove: readonly string[];
  readonly typed_per_filter_config: PerFilterConfig;
}

/** One level, compiled. */
export interface RouteLevel {
  readonly request: HeaderMutator | undefined;
  readonly response: HeaderMutator | undefined;
  readonly perFilterConfig: PerFilterConfig | undefined;
}

/** Several levels put together for one route. */
export interface CombinedLevels {
  readonly requestMutators: readonly HeaderMutator[];
  readonly responseMutators: readonly HeaderMutator[];
  readonly perFilterConfigs: readonly PerFilterConfig[];
}

/** @throws FormatError; Error for a header that must not be changed this way */
export function compileLevel(config: LevelConfig): RouteLevel {
  const filters = config.typed_per_filter_config;
  return {
    request: compileHeaderMutations(config.request_headers_to_add, config.request_headers_to_remove),
    response: compileHeaderMutations(config.response_headers_to_add, config.response_headers_to_remove),
    perFilterConfig: Object.keys(filters).length === 0 ? undefined : filters,
  };
}

/**
 * Puts levels together, given with the least specific first. Mutations run from the most specific level to the least,
 * so that the least specific has the last word; `mostSpecificWins` turns that round.
 */
export function combineLevels(levels: readonly RouteLevel[], mostSpecificWins: boolean): CombinedLevels {
  const inOrder = mostSpecificWins ? levels : levels.toReversed();
  return {
    requestMutators: inOrder.map((level) => level.request).filter((mutator) => mutator !== undefined),
    responseMutators: inOrder.map((level) => level.response).filter((mutator) => mutator !== undefined),
    perFilterConfigs: levels.map((level) => level.perFilterConfig).filter((config) => config !== undefined),
  };
}
