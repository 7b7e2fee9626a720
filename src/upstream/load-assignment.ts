import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import type { Address } from '../config/schema/core-address.ts';
import type { LbEndpoint } from '../config/schema/endpoint.ts';
import type { EndpointHealthCheckConfig } from '../config/schema/health-check.ts';
import type { EndpointAddress, EndpointHealth, EndpointTraits, HealthCheckTarget, Locality } from './endpoint.ts';

/** One `LbEndpoint` of the load assignment: an address, or a name that stands for addresses. */
export interface AssignedEndpoint {
  /** As configured; `host` is a DNS name in clusters that resolve names. */
  readonly address: EndpointAddress;
  readonly traits: EndpointTraits;
}

/** Envoy sends nothing to UNHEALTHY, DRAINING and TIMEOUT while there are others (config/core/v3/health_check.proto). */
const HEALTH: Readonly<Record<LbEndpoint['health_status'], EndpointHealth>> = {
  UNKNOWN: 'healthy',
  HEALTHY: 'healthy',
  UNHEALTHY: 'unhealthy',
  DRAINING: 'draining',
  TIMEOUT: 'unhealthy',
  DEGRADED: 'degraded',
};

/** The endpoints of a cluster in the order of its configuration. */
export function assignedEndpoints(config: ClusterConfig): AssignedEndpoint[] {
  const assigned: AssignedEndpoint[] = [];
  for (const group of config.load_assignment?.endpoints ?? []) {
    const locality: Locality = {
      region: group.locality?.region ?? '',
      zone: group.locality?.zone ?? '',
      subZone: group.locality?.sub_zone ?? '',
      weight: group.load_balancing_weight ?? 0,
    };
    for (const member of group.lb_endpoints) {
      if (member.endpoint === undefined) continue;
      assigned.push({
        address: readAddress(member.endpoint.address),
        traits: {
          hostname: member.endpoint.hostname,
          hashKey: hashKey(member),
          labels: member.metadata?.filter_metadata['envoy.lb'],
          weight: member.load_balancing_weight,
          priority: group.priority,
          health: HEALTH[member.health_status],
          locality,
          healthCheck: healthCheckTarget(member.endpoint.health_check_config),
        },
      });
    }
  }
  return assigned;
}

function healthCheckTarget(config: EndpointHealthCheckConfig | undefined): HealthCheckTarget | undefined {
  return config === undefined
    ? undefined
    : {
        hostname: config.hostname,
        address: config.address === undefined ? undefined : readAddress(config.address),
        port: config.port_value,
        disabled: config.disable_active_health_check,
      };
}

function hashKey(member: LbEndpoint): string {
  const key = member.metadata?.filter_metadata['envoy.lb']?.hash_key;
  return typeof key === 'string' ? key : '';
}

function readAddress(address: Address): EndpointAddress {
  // Envoy writes the abstract namespace with a leading @, the kernel with a leading NUL.
  if (address.pipe !== undefined) return { host: '', port: 0, pipe: address.pipe.path.replace(/^@/, '\0') };
  return {
    host: address.socket_address?.address ?? '',
    port: address.socket_address?.port_value ?? 0,
    pipe: undefined,
  };
}
