import type { Hash64 } from '../matching/hash64.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ResourceLimit, RoutingPriority } from '../upstream/limits.ts';
import type { Errand } from '../upstream/original-destinations.ts';
import type { UpstreamResetReason } from './codec.ts';
import type { RequestHead } from './message.ts';
import { isIdempotent, type RetryRules } from './retry.ts';
import type { RetryHosts } from './retry-host.ts';

/** What came of the wish to try again. */
export const RETRY = { NO: 0, AGAIN: 1, LIMIT_EXCEEDED: 2, OVERFLOW: 3 } as const;

/** How far one request has come with its retries. One object per router, used for one request after the other. */
export class RetryState {
  /** Undefined when nothing is tried again. */
  rules: RetryRules | undefined = undefined;
  /** Retries that were begun. */
  count = 0;
  /** The cluster's limit of concurrent retries while one of them is this request's. */
  private held: ResourceLimit | undefined = undefined;
  private readonly tried: Endpoint[] = [];
  /** The same since priorities were last passed over for nothing, and the priorities that are. */
  private readonly triedOfPriorities: Endpoint[] = [];
  private readonly excluded = new Set<number>();

  begin(rules: RetryRules | undefined): void {
    this.rules = rules;
    this.count = 0;
    if (this.tried.length === 0) return;
    this.tried.length = 0;
    this.triedOfPriorities.length = 0;
    this.excluded.clear();
  }

  /**
   * Decides over the outcome of one attempt: `wanted` says that the rules ask for another one. A retry counts against
   * the cluster's limit from here until its own outcome, or until `end`.
   */
  decide(wanted: boolean, cluster: Cluster, priority: RoutingPriority): number {
    const { stats } = cluster;
    if (this.held !== undefined && !wanted) stats.upstreamRqRetrySuccess.inc();
    this.release();
    if (!wanted || this.rules === undefined) return RETRY.NO;
    if (this.count >= this.rules.maxRetries) {
      stats.upstreamRqRetryLimitExceeded.inc();
      return RETRY.LIMIT_EXCEEDED;
    }
    const limit = cluster.limits[priority].retries;
    if (!limit.tryAcquire()) {
      stats.upstreamRqRetryOverflow.inc();
      return RETRY.OVERFLOW;
    }
    this.held = limit;
    this.count++;
    stats.upstreamRqRetry.inc();
    return RETRY.AGAIN;
  }

  /** Nothing is tried again for this request. */
  end(): void {
    this.rules = undefined;
    this.release();
  }

  private release(): void {
    const limit = this.held;
    this.held = undefined;
    limit?.release();
  }

  /** Chooses an endpoint, for a further try one that the rules like, in a limited number of draws. */
  pick(cluster: Cluster, hash: Hash64 | undefined, errand?: Errand): Endpoint | undefined {
    const { rules } = this;
    if (rules === undefined || !rules.choosesHosts || cluster.followsClients) return cluster.pick(hash, 0, errand);
    const { hosts } = rules;
    if (this.tried.length > 0 && hosts.priorityUpdateFrequency > 0)
      this.excludePriorities(cluster, hosts.priorityUpdateFrequency);
    let endpoint = this.draw(cluster, hash, 0);
    if (endpoint === undefined) return undefined;
    for (let draw = 1; draw <= hosts.maxDraws && this.isUnwanted(endpoint, hosts); draw++) {
      endpoint = this.draw(cluster, hash, draw) ?? endpoint;
    }
    this.tried.push(endpoint);
    this.triedOfPriorities.push(endpoint);
    return endpoint;
  }

  private draw(cluster: Cluster, hash: Hash64 | undefined, draw: number): Endpoint | undefined {
    return this.excluded.size === 0 ? cluster.pick(hash, draw) : cluster.pickWithout(this.excluded, hash, draw);
  }

  /** The first try goes to any endpoint. */
  private isUnwanted(endpoint: Endpoint, { avoidsPrevious, refuses }: RetryHosts): boolean {
    if (this.tried.length === 0) return false;
    return (avoidsPrevious && this.tried.includes(endpoint)) || refuses.some((refusesIt) => refusesIt(endpoint));
  }

  /** Every so many tries, the priorities that were tried are passed over, unless no other one has endpoints to offer. */
  private excludePriorities(cluster: Cluster, frequency: number): void {
    const { triedOfPriorities, excluded } = this;
    if (triedOfPriorities.length < frequency || triedOfPriorities.length % frequency !== 0) return;
    for (const { priority } of triedOfPriorities) excluded.add(priority);
    if (cluster.canPickWithout(excluded)) return;
    excluded.clear();
    triedOfPriorities.length = 0;
  }
}

/**
 * Nothing was lost but the request, which may go again at once: the server did not begin to serve its stream (RFC 9113
 * §8.7), or a kept-alive connection was closed just when it was used again, and the request may come twice.
 */
export function wasNotServed(reason: UpstreamResetReason, reused: boolean, request: RequestHead): boolean {
  if (request.upgrade !== '') return false;
  return reason === 'remote_refused' || (reason === 'connection_termination' && reused && isIdempotent(request.method));
}
