import type * as v from 'valibot';
import {
  check,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  uint32,
} from '../src/config/schema/building-blocks.ts';
import { time } from './fields.ts';
import { type Canonical, given, type PolicyKind } from './policy.ts';

const Limits = message({
  max_connections: optional(uint32()),
  max_pending_requests: optional(uint32()),
  max_requests: optional(uint32()),
  max_retries: optional(uint32()),
});

const OutlierDetection = message(
  {
    consecutive_5xx: optional(uint32({ min: 1 })),
    /** 502, 503 and 504 alone. */
    consecutive_gateway_errors: optional(uint32({ min: 1 })),
    interval: optional(time(), '10s'),
    base_ejection_time: optional(time(), '30s'),
    max_ejection_percent: optional(uint32({ max: 100 }), 10),
  },
  check((outliers) =>
    outliers.consecutive_5xx === undefined && outliers.consecutive_gateway_errors === undefined
      ? new Problem('says not when an endpoint is bad', { allowed: 'consecutive_5xx, consecutive_gateway_errors' })
      : undefined,
  ),
);
type OutlierDetection = v.InferOutput<typeof OutlierDetection>;

const Spec = message(
  {
    /** Names of clusters; all unless given. */
    destinations: optional(list(nonEmptyString(), { min: 1 })),
    limits: optional(Limits),
    outlier_detection: optional(OutlierDetection),
  },
  check((spec) =>
    Object.keys(spec.limits ?? {}).length === 0 && spec.outlier_detection === undefined
      ? new Problem('says nothing', { allowed: 'limits, outlier_detection, or both' })
      : undefined,
  ),
);
type Spec = v.InferOutput<typeof Spec>;

/** ⑨ Circuit breaking. Table 2: in L7 headers, out allow or deny, with state. */
export const circuitBreaker: PolicyKind<Spec> = {
  kind: 'CircuitBreaker',
  summary: 'at most so many connections and requests, and endpoints that keep failing are left out for a while',
  spec: Spec,
  semantics: {
    paper: 9,
    input: 'L7 headers',
    output: 'allow or deny',
    pure: false,
    state: { kept: 'process', what: 'connections and requests under way, and what each endpoint answered last' },
    payload: 'none',
    placement: 'either',
    usualSide: 'sender',
    granularity: 'function',
  },
  refusal: (spec, side) =>
    side === 'sender' || spec.outlier_detection === undefined
      ? undefined
      : new Problem('outliers cannot be left out by the receiver: its only endpoint is its own workload', {
          path: ['outlier_detection'],
          allowed: 'sender; limits alone may be at the receiver',
        }),
  compile({ spec }) {
    const limits = given({ ...spec.limits });
    return {
      destinations: spec.destinations,
      destination: {
        ...(Object.keys(limits).length === 0 ? {} : { circuit_breakers: { thresholds: [limits] } }),
        ...(spec.outlier_detection === undefined
          ? {}
          : { outlier_detection: outlierDetection(spec.outlier_detection) }),
      },
    };
  },
};

/** Each way of finding outliers is on or off: Envoy's own defaults switch on some that nobody named. */
function outlierDetection(outliers: OutlierDetection): Canonical {
  const { consecutive_5xx, consecutive_gateway_errors } = outliers;
  const enforced = (threshold: number | undefined): number => (threshold === undefined ? 0 : 100);
  return given({
    consecutive_5xx,
    enforcing_consecutive_5xx: enforced(consecutive_5xx),
    consecutive_gateway_failure: consecutive_gateway_errors,
    enforcing_consecutive_gateway_failure: enforced(consecutive_gateway_errors),
    enforcing_success_rate: 0,
    interval: outliers.interval,
    base_ejection_time: outliers.base_ejection_time,
    max_ejection_percent: outliers.max_ejection_percent,
  });
}
