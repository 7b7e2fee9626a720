import { accessLog } from './access-log.ts';
import { authorizationPolicy } from './authorization-policy.ts';
import { circuitBreaker } from './circuit-breaker.ts';
import { peerAuthentication } from './peer-authentication.ts';
import type { PolicyKind } from './policy.ts';
import { rateLimit } from './rate-limit.ts';
import { requestAuthentication } from './request-authentication.ts';
import { retryPolicy } from './retry-policy.ts';
import { sidecar } from './sidecar.ts';
import { tracing } from './tracing.ts';

/** The kinds of policies, in the order of the serverless paper's Table 1. */
export const POLICY_KINDS: readonly PolicyKind[] = [
  requestAuthentication,
  sidecar,
  authorizationPolicy,
  rateLimit,
  tracing,
  accessLog,
  peerAuthentication,
  retryPolicy,
  circuitBreaker,
];
