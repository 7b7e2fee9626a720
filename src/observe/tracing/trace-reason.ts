import type { UuidRequestIdConfig } from '../../config/schema/http-connection-manager.ts';
import type { FractionalPercent } from '../../config/schema/percent.ts';
import type { RouteTracing, Tracing } from '../../config/schema/tracing.ts';
import { HEX_VALUE } from '../../http/http1/chars.ts';
import type { RequestHead } from '../../http/message.ts';
import { TRACE_REASON, traceReasonOf, withTraceReason } from '../../http/request-id.ts';
import { PERCENT_DENOMINATOR } from '../../matching/fraction.ts';

/** Why a request is traced, or that it is not; the names are those of Envoy's statistics. */
export type TraceReason = 'random_sampling' | 'service_forced' | 'client_enabled' | 'not_traceable';

/** `numerator` of `whole` requests. */
interface Share {
  readonly numerator: number;
  readonly whole: number;
}

/** What share of requests is traced. */
export interface Shares {
  readonly client: Share;
  readonly random: Share;
  readonly overall: Share;
}

const DIGIT: Readonly<Record<TraceReason, string>> = {
  not_traceable: TRACE_REASON.NOT_TRACEABLE,
  random_sampling: TRACE_REASON.SAMPLED,
  service_forced: TRACE_REASON.SERVICE_FORCED,
  client_enabled: TRACE_REASON.CLIENT_FORCED,
};
const REASONS: Readonly<Record<string, TraceReason>> = {
  [TRACE_REASON.SAMPLED]: 'random_sampling',
  [TRACE_REASON.SERVICE_FORCED]: 'service_forced',
  [TRACE_REASON.CLIENT_FORCED]: 'client_enabled',
};
/** Digits that an id's number is read from: of a UUID the first group, which is random. */
const NUMBER_DIGITS = 8;

/** Shares of a connection manager. Envoy counts in whole percents, and in hundredths of one for random sampling. */
export function managerShares(config: Tracing): Shares {
  return {
    client: { numerator: Math.trunc(config.client_sampling.value), whole: 100 },
    random: { numerator: Math.round(config.random_sampling.value * 100), whole: 10_000 },
    overall: { numerator: Math.trunc(config.overall_sampling.value), whole: 100 },
  };
}

export function routeShares(config: RouteTracing): Shares {
  return {
    client: shareOf(config.client_sampling),
    random: shareOf(config.random_sampling),
    overall: shareOf(config.overall_sampling),
  };
}

function shareOf(config: FractionalPercent): Share {
  return { numerator: config.numerator, whole: PERCENT_DENOMINATOR[config.denominator] };
}

/**
 * Decides, as Envoy does, whether a request is traced: by what its id says, by who asks for it, by share. The id
 * decides over shares, so that all proxies on the way choose the same requests, and it is told the outcome.
 */
export function decideReason(
  request: RequestHead,
  shares: Shares,
  ids: UuidRequestIdConfig,
  random: () => number = Math.random,
): TraceReason {
  if (!ids.use_request_id_for_trace_sampling) return 'random_sampling';
  const id = request.get('x-request-id') ?? '';
  const first = numberOf(id);
  if (first < 0) return 'not_traceable';
  const number = first % 10_000;
  const told = ids.pack_trace_reason ? REASONS[traceReasonOf(id)] : undefined;
  let reason = told ?? 'not_traceable';
  if (told === undefined) {
    if (request.has('x-client-trace-id') && random() * shares.client.whole < shares.client.numerator)
      reason = 'client_enabled';
    else if (request.hasEnvoyHeaders && request.has('x-envoy-force-trace')) reason = 'service_forced';
    else if (isIn(shares.random, number)) reason = 'random_sampling';
  }
  if (reason !== 'not_traceable' && !isIn(shares.overall, number)) reason = 'not_traceable';
  if (ids.pack_trace_reason && reason !== (told ?? 'not_traceable'))
    request.set('x-request-id', withTraceReason(id, DIGIT[reason]));
  return reason;
}

/** The number in hexadecimal that an id begins with; -1 when it begins otherwise. */
function numberOf(id: string): number {
  if (id.length < NUMBER_DIGITS) return -1;
  let number = 0;
  for (let i = 0; i < NUMBER_DIGITS; i++) {
    const digit = HEX_VALUE[id.charCodeAt(i) & 0xff] as number;
    if (digit > 15) return -1;
    number = number * 16 + digit;
  }
  return number;
}

function isIn(share: Share, number: number): boolean {
  return number % share.whole < share.numerator;
}
