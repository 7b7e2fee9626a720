import type { HttpStream } from '../../src/filter/index.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { ApplicableLimits } from '../ratelimit/applicable-limits.ts';
import { compileRateLimit, type DescribeRequest, descriptorParts, descriptorText } from './descriptors.ts';
import { DynamicBuckets, dynamicBucketWords } from './dynamic-buckets.ts';
import type { LocalRateLimit, LocalRateLimitDescriptor } from './schema.ts';
import { BUCKET_WORDS, TokenBucket } from './token-bucket.ts';

/** Words of memory that the buckets of a configuration take. */
export function limiterWords(config: LocalRateLimit): number {
  let words = BUCKET_WORDS;
  for (const descriptor of config.descriptors) {
    words += hasWildcard(descriptor) ? dynamicBucketWords(config.max_dynamic_descriptors) : BUCKET_WORDS;
  }
  return words;
}

function hasWildcard(descriptor: LocalRateLimitDescriptor): boolean {
  return descriptor.entries.some((entry) => entry.value === '');
}

const NO_LIMITS: readonly DescribeRequest[] = [];

interface Wildcard {
  /** Keys and values one after the other; '' for any value. */
  readonly parts: readonly string[];
  readonly buckets: DynamicBuckets;
}

/**
 * The buckets of one configuration: the default one and those of the descriptors. A request takes a token from each
 * bucket whose descriptor it matches, the slowest first, and from the default one unless a descriptor matched and
 * `always_consume_default_token_bucket` is off; the first bucket without a token limits it.
 */
export class Limiter {
  /** The bucket that `allow` says most about: the one that refused, else the slowest that matched, else the default. */
  decisive: TokenBucket | undefined = undefined;
  readonly #default: TokenBucket | undefined;
  readonly #alwaysDefault: boolean;
  readonly #hasDescriptors: boolean;
  readonly #limits: ApplicableLimits<DescribeRequest>;
  readonly #exact = new Map<string, TokenBucket>();
  readonly #wildcards: Wildcard[] = [];
  /** Buckets that the request at hand matched; reused. */
  readonly #matched: TokenBucket[] = [];

  constructor(config: LocalRateLimit, sourceCluster: string, words: Uint32Array) {
    let at = BUCKET_WORDS;
    this.#default = config.token_bucket === undefined ? undefined : new TokenBucket(config.token_bucket, words, 0);
    this.#alwaysDefault = config.always_consume_default_token_bucket;
    this.#hasDescriptors = config.descriptors.length > 0;
    this.#limits = new ApplicableLimits(config.rate_limits, config.stage, config.vh_rate_limits, (limit) =>
      compileRateLimit(limit, sourceCluster),
    );
    for (const descriptor of config.descriptors) {
      const text = descriptorText(descriptor.entries);
      if (hasWildcard(descriptor)) {
        const buckets = new DynamicBuckets(descriptor.token_bucket, config.max_dynamic_descriptors, words, at);
        this.#wildcards.push({ parts: descriptorParts(text), buckets });
        at += dynamicBucketWords(config.max_dynamic_descriptors);
      } else {
        this.#exact.set(text, new TokenBucket(descriptor.token_bucket, words, at));
        at += BUCKET_WORDS;
      }
    }
  }

  /** Whether the request may pass; sets `decisive`. */
  allow(request: RequestHead, stream: HttpStream, nowMs: number): boolean {
    const limits = this.#hasDescriptors ? this.#limits.of(stream.route) : NO_LIMITS;
    if (limits.length === 0) {
      this.decisive = this.#default;
      return this.#default === undefined || this.#default.consume(nowMs);
    }
    const matched = this.#match(limits, request, stream);
    for (const bucket of matched) {
      if (!bucket.consume(nowMs)) {
        this.decisive = bucket;
        return false;
      }
    }
    this.decisive = matched[0] ?? this.#default;
    const takesDefault = matched.length === 0 || this.#alwaysDefault;
    if (!takesDefault || this.#default === undefined || this.#default.consume(nowMs)) return true;
    this.decisive = this.#default;
    return false;
  }

  #match(limits: readonly DescribeRequest[], request: RequestHead, stream: HttpStream): readonly TokenBucket[] {
    const matched = this.#matched;
    matched.length = 0;
    for (let i = 0; i < limits.length; i++) {
      const text = (limits[i] as DescribeRequest)(request, stream);
      const bucket = text === undefined ? undefined : (this.#exact.get(text) ?? this.#matchWildcard(text));
      if (bucket !== undefined) matched.push(bucket);
    }
    return matched.length > 1 ? matched.sort(bySlowness) : matched;
  }

  #matchWildcard(text: string): TokenBucket | undefined {
    if (this.#wildcards.length === 0) return undefined;
    const parts = descriptorParts(text);
    for (const wildcard of this.#wildcards) if (fits(parts, wildcard.parts)) return wildcard.buckets.get(text);
    return undefined;
  }
}

function bySlowness(a: TokenBucket, b: TokenBucket): number {
  return a.fillRate - b.fillRate;
}

function fits(parts: readonly string[], pattern: readonly string[]): boolean {
  if (parts.length !== pattern.length) return false;
  for (let i = 0; i < parts.length; i++) {
    const isAnyValue = i % 2 === 1 && pattern[i] === '';
    if (!isAnyValue && parts[i] !== pattern[i]) return false;
  }
  return true;
}
