import type { Metadata } from '../config/schema/core.ts';
import { PREVIOUS_PRIORITIES, RETRY_HOST } from '../config/schema/retry-host.ts';
import type { RetryPolicy } from '../config/schema/retry-policy.ts';
import type { Endpoint } from '../upstream/endpoint.ts';

/** What a policy says of the endpoints of further tries. */
export interface RetryHosts {
  /** Endpoints that were tried are passed over. */
  readonly avoidsPrevious: boolean;
  /** Others that are. */
  readonly refuses: readonly ((endpoint: Endpoint) => boolean)[];
  /** After so many tries their priorities are passed over, too; 0 is never. */
  readonly priorityUpdateFrequency: number;
  /** Draws for another endpoint before one that is not wanted is taken. */
  readonly maxDraws: number;
}

/** Compiles `retry_host_predicate`, `retry_priority` and `host_selection_retry_max_attempts`. */
export function retryHosts(policy: RetryPolicy): RetryHosts {
  const refuses: ((endpoint: Endpoint) => boolean)[] = [];
  let avoidsPrevious = false;
  for (const { name, typed_config: config } of policy.retry_host_predicate) {
    const type = config?.type ?? RETRY_HOST.byName[name];
    if (type === RETRY_HOST.previousHosts) avoidsPrevious = true;
    else if (type === RETRY_HOST.omitCanaryHosts) refuses.push(isCanary);
    else if (type === RETRY_HOST.omitHostMetadata) refuses.push(withLabels(config?.value as OmitConfig | undefined));
  }
  const priority = policy.retry_priority?.typed_config;
  return {
    avoidsPrevious,
    refuses,
    priorityUpdateFrequency:
      priority?.type === PREVIOUS_PRIORITIES ? (priority.value as { update_frequency: number }).update_frequency : 0,
    maxDraws: Math.max(1, policy.host_selection_retry_max_attempts),
  };
}

interface OmitConfig {
  readonly metadata_match?: Metadata | undefined;
}

function isCanary(endpoint: Endpoint): boolean {
  return endpoint.labels.canary === true;
}

/** Endpoints whose metadata under `envoy.lb` has all these values; a list has each of its elements. */
function withLabels(config: OmitConfig | undefined): (endpoint: Endpoint) => boolean {
  const wanted = Object.entries(config?.metadata_match?.filter_metadata['envoy.lb'] ?? {}).map(
    ([key, value]) => [key, JSON.stringify(value)] as const,
  );
  return ({ labels }) =>
    wanted.every(([key, value]) => {
      const own = labels[key];
      if (Array.isArray(own) && own.some((element) => JSON.stringify(element) === value)) return true;
      return own !== undefined && JSON.stringify(own) === value;
    });
}
