import { UNIT_SECONDS } from '../../src/http/grpc/rate-limit-request.ts';
import type { DescriptorStatus } from '../../src/http/grpc/rate-limit-response.ts';
import type { ResponseHead } from '../../src/http/message.ts';

/**
 * The three headers of draft-polli-ratelimit-headers-03: of the limit with the least left, with all limits as its quota
 * policy.
 */
export interface RateLimitHeaders {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

/** Undefined when no limit concerned the request. */
export function rateLimitHeaders(statuses: readonly DescriptorStatus[]): RateLimitHeaders | undefined {
  let closest: DescriptorStatus | undefined;
  let policy = '';
  for (const status of statuses) {
    const { currentLimit } = status;
    if (currentLimit === undefined) continue;
    if (closest === undefined || status.remaining < closest.remaining) closest = status;
    const window = UNIT_SECONDS[currentLimit.unit] ?? 0;
    if (window === 0) continue;
    policy += `, ${currentLimit.requestsPerUnit};w=${window}`;
    if (currentLimit.name !== '') policy += `;name="${currentLimit.name}"`;
  }
  if (closest === undefined) return undefined;
  return {
    limit: `${closest.currentLimit?.requestsPerUnit ?? 0}${policy}`,
    remaining: String(closest.remaining),
    reset: String(closest.resetSeconds),
  };
}

export function showRateLimit(response: ResponseHead, { limit, remaining, reset }: RateLimitHeaders): void {
  response.add('x-ratelimit-limit', limit);
  response.add('x-ratelimit-remaining', remaining);
  response.add('x-ratelimit-reset', reset);
}
