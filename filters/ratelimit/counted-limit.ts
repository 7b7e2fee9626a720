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

/** Undefined leaves it to the request; null when what should be a number is none: the limit does not concern it then. */
type Hits = (stream: HttpStream) => number | undefined | null;

/** One rate limit that a service judges. */
export class CountedLimit {
  /** Told to the service when the stream is over, and nobody waits for what it says. */
  readonly appliesOnDone: boolean;
  readonly #actions: readonly DescriptorAction[];
  readonly #override: MetadataKey | undefined;
  readonly #hits: Hits;
  /** Values of the descriptor at hand; reused. */
  readonly #values: (string | null)[] = [];

  /**
   * @param isOwn of the filter's own configuration: those of routes count 1 each, as in Envoy
   * @throws FormatError for an operator of `hits_addend.format` that does not exist
   */
  constructor(config: AnyRateLimit, sourceCluster: string, isOwn: boolean) {
    this.appliesOnDone = config.apply_on_stream_done ?? false;
    this.#actions = config.actions.map((action) => compileAction(action, sourceCluster));
    this.#override = config.limit?.dynamic_metadata?.metadata_key;
    this.#hits = compileHits(isOwn ? config.hits_addend : undefined);
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
    const hits = this.#hits(stream);
    if (entries === 0 || hits === null) return false;
    writer.openDescriptor();
    for (let i = 0; i < actions.length; i++) {
      const value = values[i] as string | null;
      if (value !== null) writer.entry((actions[i] as DescriptorAction).key, value);
    }
    const limit = this.#override === undefined ? undefined : readOverride(dynamicValue(stream, this.#override));
    writer.closeDescriptor(limit, hits);
    return true;
  }
}

function compileHits(config: AnyRateLimit['hits_addend']): Hits {
  if (config?.format === undefined) {
    const number = config?.number === undefined ? undefined : Number(config.number);
    return () => number;
  }
  const format = compileFormat(config.format);
  // A number of the metadata may have a fraction, which does not count.
  const wanted = config.format.startsWith('%DYNAMIC_METADATA') ? /^\d+(\.\d+)?$/ : /^\d+$/;
  return (stream) => {
    const text = format(stream);
    const hits = wanted.test(text) ? Math.trunc(Number(text)) : MAX_HITS + 1;
    return hits > MAX_HITS ? null : hits;
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
