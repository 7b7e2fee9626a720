import type { Cluster as ClusterConfig, SlowStartConfig } from '../../config/schema/cluster.ts';
import type { BalancerPolicy } from './index.ts';
import type { SlowStart } from './slow-start.ts';

/** Envoy's defaults where the policy's own message is left out (config/cluster/v3/cluster.proto). */
const DEFAULT_CHOICE_COUNT = 2;
const DEFAULT_ACTIVE_REQUEST_BIAS = 1;
const DEFAULT_MINIMUM_RING_SIZE = 1024;
const DEFAULT_MAXIMUM_RING_SIZE = 8 * 1024 * 1024;
const DEFAULT_MAGLEV_TABLE_SIZE = 65537;
const DEFAULT_MIN_WEIGHT_PERCENT = 10;

/** The balancing policy of a cluster's configuration. */
export function balancerPolicy(config: ClusterConfig): BalancerPolicy {
  switch (config.lb_policy) {
    case 'LEAST_REQUEST': {
      const options = config.least_request_lb_config;
      return {
        kind: 'LEAST_REQUEST',
        choiceCount: options?.choice_count ?? DEFAULT_CHOICE_COUNT,
        activeRequestBias: options?.active_request_bias?.default_value ?? DEFAULT_ACTIVE_REQUEST_BIAS,
        slowStart: slowStart(options?.slow_start_config),
      };
    }
    case 'RING_HASH': {
      const options = config.ring_hash_lb_config;
      return {
        kind: 'RING_HASH',
        minimumRingSize: options?.minimum_ring_size ?? DEFAULT_MINIMUM_RING_SIZE,
        maximumRingSize: options?.maximum_ring_size ?? DEFAULT_MAXIMUM_RING_SIZE,
      };
    }
    case 'MAGLEV':
      return { kind: 'MAGLEV', tableSize: config.maglev_lb_config?.table_size ?? DEFAULT_MAGLEV_TABLE_SIZE };
    case 'ROUND_ROBIN':
      return { kind: 'ROUND_ROBIN', slowStart: slowStart(config.round_robin_lb_config?.slow_start_config) };
    case 'RANDOM':
      return { kind: config.lb_policy };
    case 'CLUSTER_PROVIDED':
      // An ORIGINAL_DST cluster never asks it.
      return { kind: 'ROUND_ROBIN' };
    default:
      throw new Error(`cluster ${config.name}: lb_policy ${config.lb_policy} is not available`);
  }
}

function slowStart(config: SlowStartConfig | undefined): SlowStart | undefined {
  if (config === undefined || config.slow_start_window === 0) return undefined;
  const aggression = config.aggression?.default_value ?? 1;
  return {
    windowMs: config.slow_start_window,
    aggression: aggression > 0 ? aggression : 1,
    minWeight: (config.min_weight_percent?.value ?? DEFAULT_MIN_WEIGHT_PERCENT) / 100,
  };
}
