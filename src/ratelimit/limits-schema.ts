import * as v from 'valibot';
import {
  bool,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  optional,
  Problem,
  type Schema,
  string,
  uint32,
  unsupported,
} from '../config/schema/building-blocks.ts';
import { scalar } from '../config/schema/schema.ts';

/** The limits of a domain in the format of github.com/envoyproxy/ratelimit, "Configuration". */

const UNITS = ['second', 'minute', 'hour', 'day', 'week', 'month', 'year'] as const;
const UPPER_UNITS = ['SECOND', 'MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'YEAR'] as const;

/** A value of a descriptor: YAML takes `404` for a number, but what requests bring is text. */
const text = () =>
  scalar('text', 'a string', (value) => {
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return new Problem('is not a string', { allowed: 'a string' });
  });

const LimitRule = message(
  {
    unit: optional(enumOf([...UNITS, ...UPPER_UNITS])),
    requests_per_unit: optional(uint32(), 0),
    unlimited: optional(bool(), false),
    name: optional(string(), ''),
    replaces: optional(list(message({ name: nonEmptyString() })), []),
  },
  check((rule) => {
    if (rule.unlimited === (rule.unit === undefined)) return undefined;
    return rule.unlimited
      ? new Problem('cannot be given together with "unlimited"', { path: ['unit'] })
      : new Problem('is required', { path: ['unit'], allowed: UNITS.join(', ') });
  }),
  check((rule) =>
    rule.name !== '' && rule.replaces.some(({ name }) => name === rule.name)
      ? new Problem('a limit cannot replace itself', { path: ['replaces'] })
      : undefined,
  ),
);
export type LimitRule = v.InferOutput<typeof LimitRule>;

/** One descriptor: a key, a value or any, its limit, and what may follow it. */
export interface LimitDescriptor {
  key: string;
  /** Undefined and '' stand for any value; one that ends with `*` for those that begin so. */
  value?: string | undefined;
  rate_limit?: LimitRule | undefined;
  shadow_mode: boolean;
  descriptors: LimitDescriptor[];
}

const nested: Schema<LimitDescriptor> = v.lazy(() => LimitDescriptor) as never;

export const LimitDescriptor: Schema<LimitDescriptor> = message(
  {
    key: nonEmptyString(),
    value: optional(text()),
    rate_limit: optional(LimitRule),
    shadow_mode: optional(bool(), false),
    descriptors: optional(list(nested), []),
  },
  unsupported('each limit has statistics of its own, not each value', 'detailed_metric', 'value_to_metric'),
  unsupported('every value has a counter of its own', 'share_threshold'),
  unsupported('set shadow_mode', 'quota_mode'),
  check((descriptor) => duplicateProblem(descriptor.descriptors)),
) as never;

/** One file: the limits of one domain. */
export const LimitsFile = message(
  { domain: nonEmptyString(), descriptors: optional(list(LimitDescriptor), []) },
  check((file) => duplicateProblem(file.descriptors)),
);
export type LimitsFile = v.InferOutput<typeof LimitsFile>;

function duplicateProblem(descriptors: readonly LimitDescriptor[]): Problem | undefined {
  const seen = new Set<string>();
  for (const [index, { key, value }] of descriptors.entries()) {
    const id = JSON.stringify([key, value ?? '']);
    if (seen.has(id)) return new Problem('the descriptor is given twice', { path: ['descriptors', index] });
    seen.add(id);
  }
  return undefined;
}
