import type { Hash64 } from '../matching/hash64.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ResourceLimit, RoutingPriority } from '../upstream/limits.ts';
import type { UpstreamResetReason } from './codec.ts';
import type { RequestHead } from './message.ts';
import { isIdempotent, type RetryRules } from './retry.ts';

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

  begin(rules: RetryRules | undefined): void {
    this.rules = rules;
    this.count = 0;
    if (this.tried.length > 0) this.tried.length = 0;
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

  /** Chooses an endpoint, if the rules say so one that was not tried yet, in a limited number of draws. */
  pick(cluster: Cluster, hash: Hash64 | undefined): Endpoint | undefined {
    const { rules } = this;
    let endpoint = cluster.pick(hash);
    if (rules === undefined || !rules.avoidsPreviousHosts || endpoint === undefined) return endpoint;
    for (let draw = 1; draw <= rules.maxDraws && this.tried.includes(endpoint); draw++) {
      endpoint = cluster.pick(hash, draw) ?? endpoint;
    }
    this.tried.push(endpoint);
    return endpoint;
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
