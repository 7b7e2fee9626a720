import type { FractionalPercent } from '../../src/config/schema/percent.ts';
import { type Reply, reply } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { compileFraction } from '../../src/matching/fraction.ts';
import type { FaultAbort, FaultDelay, FaultRateLimit } from './schema.ts';

/** What is decided for one request, from the configuration alone or with the client's `x-envoy-fault-*` headers. */

const DENOMINATOR = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

/** Whether chance picks the request. A header may lower the configured numerator, never raise it. */
function compileChance(percentage: FractionalPercent, header: string | undefined): (request: RequestHead) => boolean {
  const coin = compileFraction(percentage);
  if (header === undefined) return coin;
  const denominator = DENOMINATOR[percentage.denominator];
  return (request) => {
    const numerator = integerHeader(request, header);
    if (numerator === undefined) return coin();
    return Math.random() * denominator < Math.min(numerator, percentage.numerator);
  };
}

/** Of several lines the first one counts, and a plus sign is nothing, as in Envoy. */
function integerHeader(request: RequestHead, name: string): number | undefined {
  let value = request.get(name);
  if (value?.includes(',')) value = request.getAll(name)[0];
  return value !== undefined && /^\+?\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/** Milliseconds to hold the request, 0 for none. */
export function compileDelay(config: FaultDelay | undefined): (request: RequestHead) => number {
  if (config === undefined) return () => 0;
  const { fixed_delay, percentage } = config;
  if (fixed_delay !== undefined) {
    const isChosen = compileChance(percentage, undefined);
    return (request) => (isChosen(request) ? fixed_delay : 0);
  }
  const isChosen = compileChance(percentage, 'x-envoy-fault-delay-request-percentage');
  return (request) => {
    const delayMs = integerHeader(request, 'x-envoy-fault-delay-request') ?? 0;
    return delayMs > 0 && isChosen(request) ? delayMs : 0;
  };
}

/** The answer in place of the upstream's, undefined for none. */
export function compileAbort(config: FaultAbort | undefined): (request: RequestHead) => Reply | undefined {
  if (config === undefined) return () => undefined;
  const { http_status, grpc_status, percentage } = config;
  if (config.header_abort === undefined) {
    const isChosen = compileChance(percentage, undefined);
    const abort = abortReply(http_status ?? 200, grpc_status);
    return (request) => (isChosen(request) ? abort : undefined);
  }
  const isChosen = compileChance(percentage, 'x-envoy-fault-abort-request-percentage');
  return (request) => {
    const status = integerHeader(request, 'x-envoy-fault-abort-request');
    if (status !== undefined && status >= 200 && status < 600) {
      return isChosen(request) ? abortReply(status, undefined) : undefined;
    }
    const grpcStatus = integerHeader(request, 'x-envoy-fault-abort-grpc-request');
    return grpcStatus !== undefined && isChosen(request) ? abortReply(200, grpcStatus) : undefined;
  };
}

function abortReply(status: number, grpcStatus: number | undefined): Reply {
  const options = { body: 'fault filter abort', flag: 'FI', details: 'fault_filter_abort' } as const;
  return reply(status, grpcStatus === undefined ? options : { ...options, grpcStatus });
}

/** KiB per second at which the response may pass, 0 for no limit. */
export function compileRateLimit(config: FaultRateLimit): (request: RequestHead) => number {
  const fixed = config.fixed_limit?.limit_kbps;
  if (fixed !== undefined) {
    const isChosen = compileChance(config.percentage, undefined);
    return (request) => (isChosen(request) ? fixed : 0);
  }
  const isChosen = compileChance(config.percentage, 'x-envoy-fault-throughput-response-percentage');
  return (request) => {
    const limit = integerHeader(request, 'x-envoy-fault-throughput-response') ?? 0;
    return limit > 0 && isChosen(request) ? limit : 0;
  };
}
