import type { MetadataKey } from '../../src/config/schema/rate-limit.ts';
import type { HttpStream } from '../../src/filter/index.ts';
import {
  type LimitOverride,
  RATE_LIMIT_UNIT,
  type RateLimitRequestWriter,
} from '../../src/http/grpc/rate-limit-request.ts';
import type { RequestHead } from '../../src/http/message.ts';
import { compileFormat } from '../../src/observe/format/index.ts';
import type { AnyRateLimit } from './applicable-limits.ts';
import { compileAction, type DescriptorAction, dynamicValue } from './descriptor-actions.ts';

/** The most that one request may count. */
const MAX_HITS = 1_000_000_000;

type Hits = (stream: HttpStream) => number | undefined;

/** One rate limit that a service judges. */
export class CountedLimit {
  /** Told to the service when the stream is over, and nobody waits for what it says. */
  readonly appliesOnDone: boolean;
  readonly #actions: readonly DescriptorAction[];
  readonly #override: MetadataKey | undefined;
  readonly #hits: Hits;
  /** Values of the descriptor at hand; reused. */
  readonly #values: (string | null)[] = [];

  /** @throws FormatError for an operator of `hits_addend.format` that does not exist */
  constructor(config: AnyRateLimit, sourceCluster: string) {
    this.appliesOnDone = config.apply_on_stream_done ?? false;
    this.#actions = config.actions.map((action) => compileAction(action, sourceCluster));
    this.#override = config.limit?.dynamic_metadata?.metadata_key;
    this.#hits = compileHits(config.hits_addend);
  }

  /** Writes the descriptor of a request; false when the limit does not concern it. */
  describe(request: RequestHead, stream: HttpStream, writer: RateLimitRequestWriter): boolean {
    const actions = this.#actions;
    const values = this.#values;
    let entries = 0;
    for (let i = 0; i < actions.length; i++) {
      const value = (actions[i] as DescriptorAction).value(request, stream);
      if (value === undefined) return false;
      values[i] = value;
      if (value !== null) entries++;
    }
    if (entries === 0) return false;
    writer.openDescriptor();
    for (let i = 0; i < actions.length; i++) {
      const value = values[i] as string | null;
      if (value !== null) writer.entry((actions[i] as DescriptorAction).key, value);
    }
    const limit = this.#override === undefined ? undefined : readOverride(dynamicValue(stream, this.#override));
    writer.closeDescriptor(limit, this.#hits(stream));
    return true;
  }
}

function compileHits(config: AnyRateLimit['hits_addend']): Hits {
  if (config?.format === undefined) {
    const number = config?.number === undefined ? undefined : Number(config.number);
    return () => number;
  }
  const format = compileFormat(config.format);
  return (stream) => {
    const text = format(stream);
    // What is no number leaves the request at the one hit that it is.
    return /^\d{1,10}$/.test(text) ? Math.min(Number(text), MAX_HITS) : undefined;
  };
}

/** `{ requests_per_unit: 10, unit: MINUTE }`; anything else leaves the service's own limit. */
function readOverride(value: unknown): LimitOverride | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { requests_per_unit: requests, unit } = value as Record<string, unknown>;
  if (typeof requests !== 'number' || typeof unit !== 'string' || !Object.hasOwn(RATE_LIMIT_UNIT, unit))
    return undefined;
  return {
    requestsPerUnit: Math.min(Math.max(Math.trunc(requests), 0), 0xffffffff),
    unit: RATE_LIMIT_UNIT[unit] as number,
  };
}
