import type * as v from 'valibot';
import {
  bool,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  uint32,
  uint32Value,
  unsupported,
} from './building-blocks.ts';
import { Locality, Metadata } from './core.ts';
import { Address } from './core-address.ts';
import { EndpointHealthCheckConfig } from './health-check.ts';

/** envoy.config.endpoint.v3. */

/** envoy.config.endpoint.v3.Endpoint. */
export const Endpoint = message(
  {
    address: Address,
    hostname: optional(string(), ''),
    health_check_config: optional(EndpointHealthCheckConfig),
  },
  unsupported('give each address its own endpoint', 'additional_addresses'),
);
export type Endpoint = v.InferOutput<typeof Endpoint>;

/** envoy.config.endpoint.v3.LbEndpoint. */
export const LbEndpoint = message(
  {
    endpoint: optional(Endpoint),
    health_status: optional(enumOf(['UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED']), 'UNKNOWN'),
    metadata: optional(Metadata),
    load_balancing_weight: optional(uint32Value({ min: 1 }), 1),
  },
  oneof(['endpoint', 'endpoint_name'], { required: true }),
  unsupported('write the endpoint in place', 'endpoint_name'),
);
export type LbEndpoint = v.InferOutput<typeof LbEndpoint>;

/** envoy.config.endpoint.v3.LocalityLbEndpoints. Priority 0 is tried first. */
export const LocalityLbEndpoints = message(
  {
    locality: optional(Locality),
    lb_endpoints: optional(list(LbEndpoint), []),
    load_balancing_weight: optional(uint32Value({ min: 1 })),
    priority: optional(uint32({ max: 128 }), 0),
    metadata: optional(Metadata),
  },
  unsupported('write lb_endpoints', 'load_balancer_endpoints', 'leds_cluster_locality_config'),
  unsupported('it is not available', 'proximity'),
);
export type LocalityLbEndpoints = v.InferOutput<typeof LocalityLbEndpoints>;

/** envoy.config.endpoint.v3.ClusterLoadAssignment; priorities must have no gap. */
export const ClusterLoadAssignment = message(
  {
    cluster_name: nonEmptyString(),
    endpoints: optional(list(LocalityLbEndpoints), []),
    policy: optional(
      message(
        {
          /** Percent: how far health may fall before traffic spills over to the next priority. */
          overprovisioning_factor: optional(uint32Value({ min: 1 }), 140),
          /** A priority's health is its healthy share of weights, not of endpoints. */
          weighted_priority_health: optional(bool(), false),
        },
        unsupported('it is not available', 'drop_overloads', 'endpoint_stale_after'),
      ),
      {},
    ),
  },
  unsupported('write the endpoints in place', 'named_endpoints'),
  check((assignment) => {
    const priorities = new Set(assignment.endpoints.map((locality) => locality.priority));
    for (let priority = 0; priority < priorities.size; priority++) {
      if (!priorities.has(priority)) {
        return new Problem(`no endpoints have priority ${priority}`, {
          path: ['endpoints'],
          allowed: 'priorities from 0 without a gap',
        });
      }
    }
    return undefined;
  }),
);
export type ClusterLoadAssignment = v.InferOutput<typeof ClusterLoadAssignment>;
