import type * as v from 'valibot';
import { bool, list, message, optional, unsupported } from '../src/config/schema/building-blocks.ts';
import { HeaderMutation as Mutation } from '../src/config/schema/core.ts';
import { defineHttpFilter, type HttpStream } from '../src/filter/index.ts';
import type { HeaderMap } from '../src/http/headers.ts';
import { compileHeaderMutation, type HeaderMutator } from '../src/http/route/header-mutations.ts';

const Mutations = message(
  { request_mutations: optional(list(Mutation), []), response_mutations: optional(list(Mutation), []) },
  unsupported('use a route with a rewrite', 'query_parameter_mutations'),
  unsupported('trailers pass unchanged', 'request_trailers_mutations', 'response_trailers_mutations'),
);
type Mutations = v.InferOutput<typeof Mutations>;

/** envoy.extensions.filters.http.header_mutation.v3.HeaderMutation. */
export const HeaderMutationConfig = message({
  mutations: optional(Mutations, {}),
  most_specific_header_mutations_wins: optional(bool(), false),
});
export type HeaderMutationConfig = v.InferOutput<typeof HeaderMutationConfig>;

/** envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute. */
export const HeaderMutationPerRoute = message({ mutations: optional(Mutations, {}) });
export type HeaderMutationPerRoute = v.InferOutput<typeof HeaderMutationPerRoute>;

/**
 * Adds, replaces and removes headers of requests and responses (Envoy: envoy.filters.http.header_mutation). The filter's
 * own mutations run first, then those of all route levels: the most specific first, or last, so that it has the last
 * word, with `most_specific_header_mutations_wins`.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
 * mutations:
 *   request_mutations:
 *     - remove: x-internal
 *     - append:
 *         header: { key: x-client, value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' }
 *         append_action: OVERWRITE_IF_EXISTS_OR_ADD
 */
export const headerMutation = defineHttpFilter<HeaderMutationConfig, HeaderMutationPerRoute>({
  name: 'envoy.filters.http.header_mutation',
  configType: 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
  config: HeaderMutationConfig,
  routeConfigType: 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute',
  routeConfig: HeaderMutationPerRoute,
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(config, env) {
    const overrides = env.routeConfigs.map((override) => override.mutations);
    const routeLevels = config.most_specific_header_mutations_wins ? overrides : overrides.toReversed();
    const levels: readonly Mutations[] = [config.mutations, ...routeLevels];
    const onRequest = compileMutations(levels.flatMap((level) => level.request_mutations));
    const onResponse = compileMutations(levels.flatMap((level) => level.response_mutations));
    return { ...(onRequest !== undefined && { onRequest }), ...(onResponse !== undefined && { onResponse }) };
  },
});

function compileMutations(mutations: readonly Mutation[]): ((head: HeaderMap, stream: HttpStream) => void) | undefined {
  const steps = mutations.map(compileHeaderMutation);
  if (steps.length === 0) return undefined;
  return (head, stream) => {
    for (let i = 0; i < steps.length; i++) (steps[i] as HeaderMutator)(head, stream);
  };
}
