import type { HttpFilterDefinition } from './http.ts';
import type { NetworkFilterDefinition } from './network.ts';

// biome-ignore lint/suspicious/noExplicitAny: a registry holds filters of every configuration type
export type AnyHttpFilter = HttpFilterDefinition<any, any>;
// biome-ignore lint/suspicious/noExplicitAny: likewise
export type AnyNetworkFilter = NetworkFilterDefinition<any>;

/** The filters that a configuration may name, by the protobuf type of their `typed_config`. */
export class FilterRegistry {
  readonly http = new Map<string, AnyHttpFilter>();
  readonly network = new Map<string, AnyNetworkFilter>();

  constructor(http: readonly AnyHttpFilter[], network: readonly AnyNetworkFilter[]) {
    for (const filter of http) if (filter.configType !== undefined) this.http.set(filter.configType, filter);
    for (const filter of network) if (filter.configType !== undefined) this.network.set(filter.configType, filter);
  }
}
