import type { RetryPolicy } from '../config/schema/retry-policy.ts';
import { compileHeaderMatcher } from '../matching/header-matcher.ts';
import type { UpstreamResetReason } from './codec.ts';
import type { RequestHead, ResponseHead } from './message.ts';

const CONDITION = {
  '5xx': 1,
  'gateway-error': 2,
  reset: 4,
  'reset-before-request': 8,
  'connect-failure': 16,
  'envoy-ratelimited': 32,
  'retriable-4xx': 64,
  'refused-stream': 128,
  'retriable-status-codes': 256,
  'retriable-headers': 512,
} as const;

/** gRPC status by the name of its retry condition. */
const GRPC_CONDITION: Readonly<Record<string, string>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
};

const BASE_INTERVAL_MS = 25;

/** A route's retry policy, compiled: when to try again, how often, after how long. */
export class RetryRules {
  readonly maxRetries: number;
  /** 0 is off. */
  readonly perTryTimeoutMs: number;
  private readonly conditions: number;
  private readonly grpcStatuses: ReadonlySet<string>;
  private readonly statusCodes: ReadonlySet<number>;
  private readonly responseHeaders: readonly ((head: ResponseHead) => boolean)[];
  private readonly requestHeaders: readonly ((head: RequestHead) => boolean)[];
  private readonly baseIntervalMs: number;
  private readonly maxIntervalMs: number;

  constructor(policy: RetryPolicy) {
    const names = policy.retry_on.split(',').map((name) => name.trim());
    let conditions = 0;
    for (const name of names) conditions |= CONDITION[name as keyof typeof CONDITION] ?? 0;
    this.conditions = conditions;
    this.grpcStatuses = new Set(names.map((name) => GRPC_CONDITION[name]).filter((status) => status !== undefined));
    this.maxRetries = policy.num_retries;
    this.perTryTimeoutMs = policy.per_try_timeout ?? 0;
    this.statusCodes = new Set(policy.retriable_status_codes);
    this.responseHeaders = policy.retriable_headers.map(compileHeaderMatcher);
    this.requestHeaders = policy.retriable_request_headers.map(compileHeaderMatcher);
    this.baseIntervalMs = policy.retry_back_off?.base_interval ?? BASE_INTERVAL_MS;
    this.maxIntervalMs = policy.retry_back_off?.max_interval ?? this.baseIntervalMs * 10;
  }

  /** False when the policy speaks of other requests only. */
  concerns(request: RequestHead): boolean {
    return this.requestHeaders.length === 0 || this.requestHeaders.some((matches) => matches(request));
  }

  onResponse(head: ResponseHead): boolean {
    const { status } = head;
    const { conditions } = this;
    if (status >= 500 && conditions & CONDITION['5xx']) return true;
    if (status >= 502 && status <= 504 && conditions & CONDITION['gateway-error']) return true;
    if (status === 409 && conditions & CONDITION['retriable-4xx']) return true;
    if (conditions & CONDITION['envoy-ratelimited'] && head.has('x-envoy-ratelimited')) return true;
    if (conditions & CONDITION['retriable-status-codes'] && this.statusCodes.has(status)) return true;
    if (conditions & CONDITION['retriable-headers'] && this.responseHeaders.some((matches) => matches(head)))
      return true;
    if (this.grpcStatuses.size === 0) return false;
    const grpcStatus = head.get('grpc-status');
    return grpcStatus !== undefined && this.grpcStatuses.has(grpcStatus);
  }

  /** `sent` is true when a part of the request may have reached the upstream. */
  onReset(reason: UpstreamResetReason, sent: boolean): boolean {
    const { conditions } = this;
    if (reason === 'overflow' || reason === 'local_reset') return false;
    if (conditions & (CONDITION['5xx'] | CONDITION.reset)) return true;
    if (!sent && conditions & CONDITION['reset-before-request']) return true;
    if (reason === 'connection_failure' || reason === 'connection_timeout') {
      return (conditions & (CONDITION['connect-failure'] | CONDITION['gateway-error'])) !== 0;
    }
    return (conditions & CONDITION['gateway-error']) !== 0;
  }

  /** A per-try timeout counts like a gateway's 504. */
  onPerTryTimeout(): boolean {
    return (this.conditions & (CONDITION['5xx'] | CONDITION['gateway-error'])) !== 0;
  }

  /** Full jitter in [0, (2^N − 1) · base), at most the maximum. @param retry from 1 */
  backOffMs(retry: number): number {
    const span = (2 ** Math.min(retry, 16) - 1) * this.baseIntervalMs;
    return Math.min(Math.random() * span, this.maxIntervalMs);
  }
}
