import { CELL, type Slot } from './endpoint-slots.ts';
import { ACTIVE_FLAGS, HEALTH_FLAG, healthOf } from './health-flags.ts';

/**
 * An endpoint's health, folded to what the balancer asks. One that drains gets nothing, like an unhealthy one, but its
 * leaving says nothing of the health of the others; so is one that is not to count yet.
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
  /** What the configuration says (Envoy's `health_status`). */
  readonly health: EndpointHealth;
  readonly locality: Locality;
  /** Its metadata under `envoy.lb`. */
  readonly labels?: Readonly<Record<string, unknown>> | undefined;
  /** Where and how it is checked, if not as its address and the cluster say. */
  readonly healthCheck?: HealthCheckTarget | undefined;
}

/** An endpoint's own `health_check_config`. */
export interface HealthCheckTarget {
  /** Host of the checks, '' for what the cluster says. */
  readonly hostname: string;
  /** Undefined for the endpoint's own. */
  readonly address: EndpointAddress | undefined;
  /** 0 for the address's. */
  readonly port: number;
  readonly disabled: boolean;
}

/** What hears of responses that say of their endpoint: leave it alone. */
export interface HealthMonitor {
  failNow(): void;
}

/** What hears how requests and connections to an endpoint end, to find out whether it is worse than others. */
export interface FailureMonitor {
  /** The head of a response; `status` is what its gRPC status is worth where it has one. */
  onResponse(status: number): void;
  /** A connection is there for a request. */
  onConnected(): void;
  /** A TCP session has its connection. */
  onTcpConnected(): void;
  /** No connection, or it ended before its time. */
  onFailure(): void;
  onTimeout(): void;
}

/** The endpoints of one `LocalityLbEndpoints`. One object stands for one locality of one priority. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  /** `load_balancing_weight`; 0 when unset: then the locality gets nothing under locality-weighted balancing. */
  readonly weight: number;
}

const NO_LABELS: Readonly<Record<string, unknown>> = Object.freeze({});

/** In a slot's flags, beside those of `HEALTH_FLAG`: a first check is over. */
const CHECKED = 1 << 16;

/** Counters of one endpoint, as the admin server's `/clusters` lists them. */
export class EndpointStats {
  cxActive = 0;
  cxTotal = 0;
  cxConnectFail = 0;
  rqTotal = 0;
  rqSuccess = 0;
  rqError = 0;
  rqTimeout = 0;

  /** A request to it succeeded or failed. */
  countOutcome(success: boolean): void {
    if (success) this.rqSuccess++;
    else this.rqError++;
  }
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
  /** Metadata by which the policies of retries know it. */
  labels: Readonly<Record<string, unknown>>;
  /** 1 or more. */
  weight: number;
  /** 0 is the first to be used. */
  priority: number;
  locality: Locality;
  healthCheck: HealthCheckTarget | undefined;
  /** What the configuration says of its health. */
  assignedHealth: EndpointHealth;
  /** What was found out of it: bits of `HEALTH_FLAG`. */
  healthFlags = 0;
  /** Both together. */
  health: EndpointHealth;
  /** Whether the health is `healthy`; any other endpoint is only used when too few are. */
  healthy: boolean;
  /** When it joined, or its checks began to pass, in ms of `performance.now()`. */
  healthySinceMs = performance.now();
  /** True once the endpoint left its cluster: let its connections finish, make no new ones. */
  removed = false;
  /** Requests in flight, kept by the pool; the least-request balancer reads it. */
  activeRequests = 0;
  readonly stats = new EndpointStats();
  /** Where threads keep what they find out of it together; undefined where each knows it alone. */
  slot: Slot | undefined = undefined;
  /** Undefined without outlier detection. */
  failureMonitor: FailureMonitor | undefined = undefined;
  /** Undefined when its health is not checked. */
  healthMonitor: HealthMonitor | undefined = undefined;
  /** The connection pool's own state. */
  pool: unknown = undefined;

  constructor(address: EndpointAddress, traits: EndpointTraits) {
    this.address = formatAddress(address);
    this.host = address.host;
    this.port = address.port;
    this.pipe = address.pipe;
    this.hostname = traits.hostname;
    this.hashKey = traits.hashKey;
    this.labels = traits.labels ?? NO_LABELS;
    this.weight = traits.weight;
    this.priority = traits.priority;
    this.locality = traits.locality;
    this.healthCheck = traits.healthCheck;
    this.assignedHealth = traits.health;
    this.health = traits.health;
    this.healthy = traits.health === 'healthy';
  }

  /** Sets and clears bits of `HEALTH_FLAG`. Answers whether that changed the endpoint's health. */
  markHealth(set: number, cleared: number): boolean {
    const before = this.health;
    if ((this.healthFlags & cleared & HEALTH_FLAG.FAILED_ACTIVE_HC) !== 0) this.healthySinceMs = performance.now();
    this.healthFlags = (this.healthFlags & ~cleared) | set;
    this.refreshHealth();
    return this.health !== before;
  }

  /** As `markHealth`, for all threads. */
  shareHealth(set: number, cleared: number): boolean {
    const { slot } = this;
    if (slot?.shared === true) {
      Atomics.and(slot.cells, slot.at + CELL.FLAGS, ~cleared);
      Atomics.or(slot.cells, slot.at + CELL.FLAGS, set);
    }
    return this.markHealth(set, cleared);
  }

  /** Tells all threads what active checks have found out by now. Answers whether that is new to them. */
  publishChecks(): boolean {
    const { slot } = this;
    if (slot?.shared !== true) return false;
    const index = slot.at + CELL.FLAGS;
    for (;;) {
      const before = Atomics.load(slot.cells, index);
      const after = (before & ~ACTIVE_FLAGS) | (this.healthFlags & ACTIVE_FLAGS) | CHECKED;
      if (Atomics.compareExchange(slot.cells, index, before, after) === before) return before !== after;
    }
  }

  /** Takes over what other threads have found out. Answers whether that changed the endpoint's health. */
  adoptShared(): boolean {
    const { slot } = this;
    if (slot?.shared !== true) return false;
    const flags = Atomics.load(slot.cells, slot.at + CELL.FLAGS);
    const known = HEALTH_FLAG.FAILED_OUTLIER_CHECK | ((flags & CHECKED) === 0 ? 0 : ACTIVE_FLAGS);
    return this.markHealth(flags & known, known & ~flags);
  }

  /** Whether some thread has checked it. */
  get wasChecked(): boolean {
    const { slot } = this;
    return slot?.shared === true && (Atomics.load(slot.cells, slot.at + CELL.FLAGS) & CHECKED) !== 0;
  }

  /** Its flags as all threads know them by now. */
  knownFlags(): number {
    const { slot } = this;
    return slot?.shared === true ? Atomics.load(slot.cells, slot.at + CELL.FLAGS) : this.healthFlags;
  }

  private refreshHealth(): void {
    this.health = healthOf(this.assignedHealth, this.healthFlags);
    this.healthy = this.health === 'healthy';
  }

  /** A response of it, by which it can ask to be left alone. `status` is what its gRPC status is worth where it has one. */
  onResponseHead(head: { readonly status: number; has(name: string): boolean }, status = head.status): void {
    if (this.failureMonitor !== undefined) this.failureMonitor.onResponse(status);
    if (this.healthMonitor !== undefined && head.has('x-envoy-immediate-health-check-fail'))
      this.healthMonitor.failNow();
  }

  /** A request to it ended without a response, or in the midst of it. `own` failures say nothing of the endpoint. */
  onReset(own: boolean): void {
    this.stats.rqError++;
    if (!own && this.failureMonitor !== undefined) this.failureMonitor.onFailure();
  }

  /** A request to it took too long; `asked` when it was there to answer, and had not begun to. */
  onTimeout(asked: boolean): void {
    this.stats.rqTimeout++;
    if (asked && this.failureMonitor !== undefined) this.failureMonitor.onTimeout();
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
      this.assignedHealth === traits.health;
    this.hostname = traits.hostname;
    this.hashKey = traits.hashKey;
    this.labels = traits.labels ?? NO_LABELS;
    this.weight = traits.weight;
    this.priority = traits.priority;
    this.locality = traits.locality;
    this.healthCheck = traits.healthCheck;
    this.assignedHealth = traits.health;
    this.refreshHealth();
    return !same;
  }
}

/** `ip:port`, `[ipv6]:port`, or the path of a pipe (a leading NUL of the abstract namespace is written `@`). */
export function formatAddress(address: EndpointAddress): string {
  if (address.pipe !== undefined) return address.pipe.replace(/^\0/, '@');
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}
