import { nowMs } from '../network/clock.ts';
import type { HttpStream } from './stream.ts';

/**
 * Tells the upstream how long an attempt may take: what is left of the route's time, or the attempt's own where that is
 * less. In ms, 0 is no limit. The route's time runs from the end of the request.
 */
export function tellTimeout(stream: HttpStream, timeoutMs: number, perTryTimeoutMs: number): void {
  if (stream.manager.router.suppressEnvoyHeaders) return;
  let expectedMs = timeoutMs;
  if (timeoutMs > 0 && stream.upstreamAttemptCount > 1 && stream.requestEndMs > 0) {
    expectedMs = Math.max(Math.round(timeoutMs - (nowMs() - stream.requestEndMs)), 1);
  }
  if (perTryTimeoutMs > 0 && (expectedMs === 0 || perTryTimeoutMs < expectedMs)) expectedMs = perTryTimeoutMs;
  if (expectedMs > 0) stream.request.set('x-envoy-expected-rq-timeout-ms', String(expectedMs));
}
