import type { RetryPolicy } from '../config/schema/retry-policy.ts';
import { compileHeaderMatcher } from '../matching/header-matcher.ts';
import type { UpstreamResetReason } from './codec.ts';
import { parseGrpcStatus } from './grpc/status.ts';
import type { RequestHead, ResponseHead } from './message.ts';
import { type RetryHosts, retryHosts } from './retry-host.ts';

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
const GRPC_CONDITION: Readonly<Record<string, number>> = {
  cancelled: 1,
  'deadline-exceeded': 4,
  'resource-exhausted': 8,
  internal: 13,
  unavailable: 14,
};

const BASE_INTERVAL_MS = 25;

type ResetHeaders = NonNullable<RetryPolicy['rate_limited_retry_back_off']>['reset_headers'];

/** A route's retry policy, compiled: when to try again, how often, after how long. */
export class RetryRules {
  readonly maxRetries: number;
  /** 0 is off. */
  readonly perTryTimeoutMs: number;
  /** 0 is off. */
  readonly perTryIdleTimeoutMs: number;
  readonly hosts: RetryHosts;
  /** Whether it matters which endpoints were tried. */
  readonly choosesHosts: boolean;
  private readonly policy: RetryPolicy;
  private readonly resetHeaders: ResetHeaders;
  private readonly maxResetMs: number;
  private readonly conditions: number;
  private readonly grpcStatuses: ReadonlySet<number>;
  private readonly statusCodes: ReadonlySet<number>;
  private readonly responseHeaders: readonly ((head: ResponseHead) => boolean)[];
  private readonly requestHeaders: readonly ((head: RequestHead) => boolean)[];
  private readonly baseIntervalMs: number;
  private readonly maxIntervalMs: number;

  /** @param presentHeaders lower-case names of response headers that make a response retriable */
  constructor(policy: RetryPolicy, presentHeaders: readonly string[] = []) {
    this.policy = policy;
    const names = policy.retry_on.split(',').map((name) => name.trim());
    let conditions = 0;
    for (const name of names) conditions |= CONDITION[name as keyof typeof CONDITION] ?? 0;
    this.conditions = conditions;
    this.grpcStatuses = new Set(names.map((name) => GRPC_CONDITION[name]).filter((status) => status !== undefined));
    this.maxRetries = policy.num_retries;
    this.perTryTimeoutMs = policy.per_try_timeout ?? 0;
    this.perTryIdleTimeoutMs = policy.per_try_idle_timeout ?? 0;
    this.hosts = retryHosts(policy);
    this.choosesHosts = policy.retry_host_predicate.length > 0 || policy.retry_priority !== undefined;
    this.resetHeaders = policy.rate_limited_retry_back_off?.reset_headers ?? [];
    this.maxResetMs = policy.rate_limited_retry_back_off?.max_interval ?? 0;
    this.statusCodes = new Set(policy.retriable_status_codes);
    this.responseHeaders = [
      ...policy.retriable_headers.map(compileHeaderMatcher),
      ...presentHeaders.map((name) => (head: ResponseHead) => head.has(name)),
    ];
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
    // Another proxy limits the rate: only the condition for that asks again.
    if (head.has('x-envoy-ratelimited')) return (conditions & CONDITION['envoy-ratelimited']) !== 0;
    if (status >= 500 && conditions & CONDITION['5xx']) return true;
    if (status >= 502 && status <= 504 && conditions & CONDITION['gateway-error']) return true;
    if (status === 409 && conditions & CONDITION['retriable-4xx']) return true;
    if (conditions & CONDITION['retriable-status-codes'] && this.statusCodes.has(status)) return true;
    if (conditions & CONDITION['retriable-headers'] && this.responseHeaders.some((matches) => matches(head)))
      return true;
    if (this.grpcStatuses.size === 0) return false;
    const grpcStatus = parseGrpcStatus(head.get('grpc-status'));
    return grpcStatus !== undefined && this.grpcStatuses.has(grpcStatus);
  }

  /** `sent` is true when a part of the request may have reached the upstream. */
  onReset(reason: UpstreamResetReason, sent: boolean): boolean {
    const { conditions } = this;
    if (reason === 'overflow' || reason === 'local_reset') return false;
    if (conditions & (CONDITION['5xx'] | CONDITION['gateway-error'] | CONDITION.reset)) return true;
    if (!sent && conditions & CONDITION['reset-before-request']) return true;
    if (reason === 'remote_refused' && conditions & CONDITION['refused-stream']) return true;
    const connecting = reason === 'connection_failure' || reason === 'connection_timeout';
    return connecting && (conditions & CONDITION['connect-failure']) !== 0;
  }

  /** A per-try timeout counts like a reset. */
  onPerTryTimeout(): boolean {
    return (this.conditions & (CONDITION['5xx'] | CONDITION['gateway-error'] | CONDITION.reset)) !== 0;
  }

  /** Milliseconds that the response asks to wait in one of the `reset_headers`; undefined when it does not. */
  resetDelayMs(head: ResponseHead): number | undefined {
    for (const { name, format } of this.resetHeaders) {
      const text = head.get(name.toLowerCase());
      if (text === undefined || !/^\d{1,12}$/.test(text)) continue;
      const delayMs = format === 'SECONDS' ? Number(text) * 1000 : Number(text) * 1000 - Date.now();
      if (delayMs > 0 && delayMs <= this.maxResetMs) return delayMs * (1 + Math.random() / 2);
    }
    return undefined;
  }

  /** Full jitter in [0, (2^N − 1) · base), at most the maximum. @param retry from 1 */
  backOffMs(retry: number): number {
    const span = (2 ** Math.min(retry, 16) - 1) * this.baseIntervalMs;
    return Math.min(Math.random() * span, this.maxIntervalMs);
  }

  /** The rules of a route together with what a trusted request asks for in `x-envoy-` headers, which are taken out. */
  static withHeaders(rules: RetryRules | undefined, request: RequestHead): RetryRules | undefined {
    const conditions = [
      ...take(request, 'x-envoy-retry-on').filter((name) => name in CONDITION),
      ...take(request, 'x-envoy-retry-grpc-on').filter((name) => name in GRPC_CONDITION),
    ];
    const retries = take(request, 'x-envoy-max-retries')[0];
    const statusCodes = take(request, 'x-envoy-retriable-status-codes');
    const headerNames = take(request, 'x-envoy-retriable-header-names');
    const asksNothing = retries === undefined && statusCodes.length === 0 && headerNames.length === 0;
    if (conditions.length === 0 && (rules === undefined || asksNothing)) return rules;
    const policy = rules?.policy ?? NO_POLICY;
    return new RetryRules(
      {
        ...policy,
        retry_on: [policy.retry_on, ...conditions].join(','),
        num_retries: retries !== undefined && /^\d{1,9}$/.test(retries) ? Number(retries) : policy.num_retries,
        retriable_status_codes: [...policy.retriable_status_codes, ...statusCodes.map(Number)],
      },
      headerNames.map((name) => name.toLowerCase()),
    );
  }
}

/** What holds where only the request asks for retries. */
const NO_POLICY: RetryPolicy = {
  retry_on: '',
  num_retries: 1,
  retry_host_predicate: [],
  host_selection_retry_max_attempts: 0,
  retriable_status_codes: [],
  retriable_headers: [],
  retriable_request_headers: [],
};

/** The parts of a header's list, which leaves the request. */
function take(request: RequestHead, name: string): string[] {
  const value = request.get(name);
  if (value === undefined) return [];
  request.remove(name);
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Methods that may be sent twice (RFC 9110 §9.2.2). */
export function isIdempotent(method: string): boolean {
  return (
    method === 'GET' ||
    method === 'HEAD' ||
    method === 'OPTIONS' ||
    method === 'PUT' ||
    method === 'DELETE' ||
    method === 'TRACE'
  );
}

const MILLISECONDS = /^\d{1,9}$/;

/** Value of an `x-envoy-…-timeout-ms` header; undefined when it is missing or no number. */
export function millisecondsOf(text: string | undefined): number | undefined {
  return text !== undefined && MILLISECONDS.test(text) ? Number(text) : undefined;
}
