/**
 * What the configuration says of an endpoint's health, folded to what the balancer asks (Envoy's `health_status`). One
 * that drains gets nothing, like an unhealthy one, but its leaving says nothing of the health of the others.
 */
export type EndpointHealth = 'healthy' | 'degraded' | 'unhealthy' | 'draining';

/** Where an endpoint listens. */
export interface EndpointAddress {
  /** IP address without brackets; '' for a pipe. */
  readonly host: string;
  /** 0 for a pipe. */
  readonly port: number;
  /** Path of a Unix socket as `net.connect` takes it, undefined for an IP address. */
  readonly pipe: string | undefined;
}

/** What the load assignment says of an endpoint besides its address. */
export interface EndpointTraits {
  /** From the endpoint's `hostname`, or the DNS name that it came from; '' without. */
  readonly hostname: string;
  /** `hash_key` of its metadata under `envoy.lb`, by which consistent hashing places it in place of its address; '' without. */
  readonly hashKey: string;
  readonly weight: number;
  readonly priority: number;
  readonly health: EndpointHealth;
  readonly locality: Locality;
}

/** The endpoints of one `LocalityLbEndpoints`. One object stands for one locality of one priority. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  /** `load_balancing_weight`; 0 when unset: then the locality gets nothing under locality-weighted balancing. */
  readonly weight: number;
}

/** Counters of one endpoint, as the admin server's `/clusters` lists them. */
export class EndpointStats {
  cxActive = 0;
  cxTotal = 0;
  cxConnectFail = 0;
  rqTotal = 0;
  rqSuccess = 0;
  rqError = 0;
  rqTimeout = 0;
}

/** One upstream host. It lives as long as its address belongs to the cluster, over all refreshes. */
export class Endpoint {
  /** `ip:port` with brackets around IPv6, or the path of the pipe. */
  address: string;
  host: string;
  port: number;
  pipe: string | undefined;
  hostname: string;
  hashKey: string;
  /** 1 or more. */
  weight: number;
  /** 0 is the first to be used. */
  priority: number;
  locality: Locality;
  health: EndpointHealth;
  /** Whether the health is `healthy`; any other endpoint is only used when too few are. */
  healthy: boolean;
  /** True once the endpoint left its cluster: let its connections finish, make no new ones. */
  removed = false;
  /** Requests in flight, kept by the pool; the least-request balancer reads it. */
  activeRequests = 0;
  readonly stats = new EndpointStats();
  /** The connection pool's own state. */
  pool: unknown = undefined;

  constructor(address: EndpointAddress, traits: EndpointTraits) {
    this.address = formatAddress(address);
    this.host = address.host;
    this.port = address.port;
    this.pipe = address.pipe;
    this.hostname = traits.hostname;
    this.hashKey = traits.hashKey;
    this.weight = traits.weight;
    this.priority = traits.priority;
    this.locality = traits.locality;
    this.health = traits.health;
    this.healthy = traits.health === 'healthy';
  }

  /** New connections go to another address, old ones stay: what a LOGICAL_DNS cluster does when its name resolves anew. */
  moveTo(address: EndpointAddress): void {
    this.address = formatAddress(address);
    this.host = address.host;
    this.port = address.port;
    this.pipe = address.pipe;
  }

  /** Takes over what a refresh says. Answers whether that changed anything. */
  update(traits: EndpointTraits): boolean {
    const same =
      this.hostname === traits.hostname &&
      this.hashKey === traits.hashKey &&
      this.weight === traits.weight &&
      this.priority === traits.priority &&
      this.locality === traits.locality &&
      this.health === traits.health;
    this.hostname = traits.hostname;
    this.hashKey = traits.hashKey;
    this.weight = traits.weight;
    this.priority = traits.priority;
    this.locality = traits.locality;
    this.health = traits.health;
    this.healthy = traits.health === 'healthy';
    return !same;
  }
}

/** `ip:port`, `[ipv6]:port`, or the path of a pipe (a leading NUL of the abstract namespace is written `@`). */
export function formatAddress(address: EndpointAddress): string {
  if (address.pipe !== undefined) return address.pipe.replace(/^\0/, '@');
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
