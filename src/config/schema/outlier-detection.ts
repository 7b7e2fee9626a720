import type * as v from 'valibot';
import {
  bool,
  boolValue,
  check,
  duration,
  message,
  optional,
  Problem,
  uint32Value,
  unsupported,
} from './building-blocks.ts';

const percentage = () => uint32Value({ max: 100 });
const interval = () => duration({ aboveMs: 0 });

/** envoy.config.cluster.v3.OutlierDetection; times in milliseconds. */
export const OutlierDetection = message(
  {
    /** Server errors in a row that eject an endpoint. */
    consecutive_5xx: optional(uint32Value(), 5),
    /** Time between two looks at success rates and at endpoints that may come back. */
    interval: optional(interval(), '10s'),
    /** How long a first ejection lasts; each further one in short order lasts longer by this. */
    base_ejection_time: optional(interval(), '30s'),
    /** Share of the cluster's endpoints that may be ejected at a time. */
    max_ejection_percent: optional(percentage(), 10),
    /** Chance that an endpoint that was found out is really ejected; the same for the others below. */
    enforcing_consecutive_5xx: optional(percentage(), 100),
    enforcing_success_rate: optional(percentage(), 100),
    /** Endpoints that need enough requests in an interval before success rates are compared. */
    success_rate_minimum_hosts: optional(uint32Value(), 5),
    /** Requests that an endpoint needs in an interval to be compared. */
    success_rate_request_volume: optional(uint32Value(), 100),
    /** Thousandths of a standard deviation below the mean from which a success rate is too low. */
    success_rate_stdev_factor: optional(uint32Value(), 1900),
    /** Answers 502, 503 and 504, and failures without an answer, in a row that eject an endpoint. */
    consecutive_gateway_failure: optional(uint32Value(), 5),
    enforcing_consecutive_gateway_failure: optional(percentage(), 0),
    /** Failures to connect, resets and time-outs are counted by themselves, not as server errors. */
    split_external_local_origin_errors: optional(bool(), false),
    consecutive_local_origin_failure: optional(uint32Value(), 5),
    enforcing_consecutive_local_origin_failure: optional(percentage(), 100),
    enforcing_local_origin_success_rate: optional(percentage(), 100),
    /** Failed requests in a hundred that eject an endpoint. */
    failure_percentage_threshold: optional(percentage(), 85),
    enforcing_failure_percentage: optional(percentage(), 0),
    enforcing_failure_percentage_local_origin: optional(percentage(), 0),
    failure_percentage_minimum_hosts: optional(uint32Value(), 5),
    failure_percentage_request_volume: optional(uint32Value(), 50),
    /** No ejection lasts longer; 300s by default, or base_ejection_time where that is more. */
    max_ejection_time: optional(interval()),
    /** Each ejection lasts longer by a random time up to this. */
    max_ejection_time_jitter: optional(duration(), '0s'),
    /** A passed active health check ends an ejection. */
    successful_active_health_check_uneject_host: optional(boolValue(), true),
    /** One endpoint may be ejected whatever max_ejection_percent says. */
    always_eject_one_host: optional(boolValue(), false),
  },
  check((config) =>
    config.max_ejection_time !== undefined && config.max_ejection_time < config.base_ejection_time
      ? new Problem('lies below base_ejection_time', {
          path: ['max_ejection_time'],
          allowed: 'at least base_ejection_time',
        })
      : undefined,
  ),
  unsupported('endpoints are judged by the fields of this message', 'monitors'),
  unsupported('endpoints are ejected, not degraded', 'detect_degraded_hosts'),
);
export type OutlierDetection = v.InferOutput<typeof OutlierDetection>;
