import type * as v from 'valibot';
import {
  check,
  double,
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  uint32,
} from '../src/config/schema/building-blocks.ts';
import { secondsOf, time } from './fields.ts';
import { given, type PolicyKind } from './policy.ts';

const CONDITIONS = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

const Spec = message(
  {
    /** Besides the first try. */
    attempts: optional(uint32({ min: 1, max: 100 }), 2),
    on: optional(list(enumOf(CONDITIONS)), ['connect-failure', 'refused-stream', 'unavailable', 'cancelled']),
    status_codes: optional(list(uint32({ min: 100, max: 599 }), { min: 1 })),
    per_try_timeout: optional(time()),
    back_off: optional(
      message(
        { base: optional(time(), '25ms'), max: optional(time()) },
        check((backOff) =>
          backOff.max !== undefined && secondsOf(backOff.max) < secondsOf(backOff.base)
            ? new Problem('lies below base', { path: ['max'] })
            : undefined,
        ),
      ),
    ),
    /** Retries at one time, % of the requests at that time, but so many in any case. */
    budget: optional(
      message({ percent: optional(double({ min: 0, max: 100 }), 20), min_concurrent: optional(uint32(), 3) }),
    ),
    /** Clusters whose budget it is; all unless given. */
    destinations: optional(list(nonEmptyString(), { min: 1 })),
  },
  check((spec) =>
    spec.destinations !== undefined && spec.budget === undefined
      ? new Problem('is for the budget: retries themselves hold for every route', { path: ['destinations'] })
      : undefined,
  ),
);
type Spec = v.InferOutput<typeof Spec>;

/** ⑧ Retries. Table 2: in L7 headers, out allow or deny, with state. */
export const retryPolicy: PolicyKind<Spec> = {
  kind: 'RetryPolicy',
  summary: 'a request that failed is tried again',
  spec: Spec,
  semantics: {
    paper: 8,
    input: 'L7 headers',
    output: 'allow or deny',
    pure: false,
    state: { kept: 'process', what: 'tries of each request, and how many retries are under way (budget)' },
    payload: 'replayed',
    placement: 'sender',
    usualSide: 'sender',
    granularity: 'function',
  },
  refusal: (_, side) =>
    side === 'sender'
      ? undefined
      : new Problem(
          'retries cannot be made by the receiver: a request that did not reach it can only be sent again by the sender, and it has no other endpoint than its own workload',
          {
            allowed: 'sender',
          },
        ),
  compile({ spec }) {
    const on = [...spec.on, ...(spec.status_codes === undefined ? [] : ['retriable-status-codes'])];
    const backOff = spec.back_off;
    return {
      virtualHost: {
        retry_policy: given({
          retry_on: on.join(','),
          num_retries: spec.attempts,
          per_try_timeout: spec.per_try_timeout,
          retriable_status_codes: spec.status_codes,
          retry_back_off:
            backOff === undefined ? undefined : given({ base_interval: backOff.base, max_interval: backOff.max }),
        }),
      },
      ...(spec.budget === undefined
        ? {}
        : {
            destinations: spec.destinations,
            destination: {
              circuit_breakers: {
                thresholds: [
                  {
                    retry_budget: {
                      budget_percent: { value: spec.budget.percent },
                      min_retry_concurrency: spec.budget.min_concurrent,
                    },
                  },
                ],
              },
            },
          }),
    };
  },
};
