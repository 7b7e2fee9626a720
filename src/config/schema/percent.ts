import type * as v from 'valibot';
import { bool, double, enumOf, int32, int64, message, optional, string, uint32 } from './building-blocks.ts';

/** envoy.type.v3 percentages and ranges, and the runtime overrides of envoy.config.core.v3 around them. */

/** envoy.type.v3.Percent, 0…100. */
export const Percent = message({ value: optional(double({ min: 0, max: 100 }), 0) });
export type Percent = v.InferOutput<typeof Percent>;

/** envoy.type.v3.FractionalPercent: numerator out of a hundred, ten thousand or a million. */
export const FractionalPercent = message({
  numerator: optional(uint32(), 0),
  denominator: optional(enumOf(['HUNDRED', 'TEN_THOUSAND', 'MILLION']), 'HUNDRED'),
});
export type FractionalPercent = v.InferOutput<typeof FractionalPercent>;

/** envoy.config.core.v3.RuntimeFractionalPercent. There is no runtime to consult: the default value is what counts. */
export const RuntimeFractionalPercent = message({
  default_value: FractionalPercent,
  runtime_key: optional(string(), ''),
});
export type RuntimeFractionalPercent = v.InferOutput<typeof RuntimeFractionalPercent>;

/** envoy.config.core.v3.RuntimeFeatureFlag: on or off, by default value. */
export const RuntimeFeatureFlag = message({
  default_value: bool(),
  runtime_key: optional(string(), ''),
});
export type RuntimeFeatureFlag = v.InferOutput<typeof RuntimeFeatureFlag>;

/** envoy.config.core.v3.RuntimeUInt32. */
export const RuntimeUInt32 = message({
  default_value: optional(uint32(), 0),
  runtime_key: string({ minLength: 1 }),
});
export type RuntimeUInt32 = v.InferOutput<typeof RuntimeUInt32>;

/** envoy.config.core.v3.RuntimeDouble. */
export const RuntimeDouble = message({
  default_value: optional(double(), 0),
  runtime_key: string({ minLength: 1 }),
});
export type RuntimeDouble = v.InferOutput<typeof RuntimeDouble>;

/** envoy.config.core.v3.RuntimePercent. */
export const RuntimePercent = message({
  default_value: optional(Percent),
  runtime_key: string({ minLength: 1 }),
});
export type RuntimePercent = v.InferOutput<typeof RuntimePercent>;

/** envoy.type.v3.Int32Range: start ≤ value < end. */
export const Int32Range = message({ start: optional(int32(), 0), end: optional(int32(), 0) });
export type Int32Range = v.InferOutput<typeof Int32Range>;

/** envoy.type.v3.Int64Range: start ≤ value < end. */
export const Int64Range = message({ start: optional(int64(), 0), end: optional(int64(), 0) });
export type Int64Range = v.InferOutput<typeof Int64Range>;

/** envoy.type.v3.DoubleRange: start ≤ value < end. */
export const DoubleRange = message({ start: optional(double(), 0), end: optional(double(), 0) });
export type DoubleRange = v.InferOutput<typeof DoubleRange>;
