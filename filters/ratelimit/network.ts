import { defineNetworkFilter, type FilterEnv, type NetworkStream, stop } from '../../src/filter/index.ts';
import {
  type LimitOverride,
  RATE_LIMIT_UNIT,
  RateLimitRequestWriter,
  SHOULD_RATE_LIMIT,
} from '../../src/http/grpc/rate-limit-request.ts';
import { RATE_LIMIT_CODE, readRateLimitResponse } from '../../src/http/grpc/rate-limit-response.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import { compileFormat } from '../../src/observe/format/index.ts';
import { decodeProtobufStruct } from '../header-to-metadata/protobuf-value.ts';
import { LONGEST_CALL_MS } from './ratelimit.ts';
import { NetworkRateLimit, type RateLimitDescriptor } from './schema.ts';

const NAME = 'envoy.filters.network.ratelimit';

/**
 * Asks a rate limit service whether a connection may go on (Envoy: envoy.filters.network.ratelimit), with descriptors that
 * the configuration has. Nothing is read from the client before the answer.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.network.ratelimit.v3.RateLimit
 * stat_prefix: edge
 * domain: shop
 * descriptors: [{ entries: [{ key: peer, value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' }] }]
 * rate_limit_service:
 *   transport_api_version: V3
 *   grpc_service: { envoy_grpc: { cluster_name: ratelimit } }
 */
export const networkRateLimit = defineNetworkFilter<NetworkRateLimit>({
  name: NAME,
  configType: 'envoy.extensions.filters.network.ratelimit.v3.RateLimit',
  config: NetworkRateLimit,
  semantics: { side: 'either', state: 'process', body: 'none' },
  timeoutMs: LONGEST_CALL_MS,
  create(config, env) {
    const describe = compileDescriptors(config);
    const ask = callerOf(config, env);
    const stats = env.stats.root.scope('ratelimit').scope(config.stat_prefix);
    const active = stats.gauge('active');
    const [total, ok, overLimit, error, allowed, closed] = (
      ['total', 'ok', 'over_limit', 'error', 'failure_mode_allowed', 'cx_closed'] as const
    ).map((name) => stats.counter(name)) as CounterList;
    const refuse = (details: string, flag: 'RL' | 'RLSE') => {
      closed.inc();
      return stop(details, flag);
    };
    return {
      async onConnection(stream) {
        total.inc();
        active.inc();
        try {
          const { overallCode, metadata } = readRateLimitResponse(await ask(describe(stream)), false);
          for (const [key, value] of Object.entries(metadata === undefined ? {} : decodeProtobufStruct(metadata)))
            stream.setMetadata(NAME, key, value);
          if (overallCode === RATE_LIMIT_CODE.OVER_LIMIT) {
            overLimit.inc();
            return refuse('ratelimit_close_over_limit', 'RL');
          }
          ok.inc();
        } catch {
          error.inc();
          if (config.failure_mode_deny) return refuse('ratelimit_error_deny', 'RLSE');
          allowed.inc();
        } finally {
          active.dec();
        }
        return undefined;
      },
    };
  },
});

type Counted = ReturnType<FilterEnv['stats']['counter']>;
type CounterList = [Counted, Counted, Counted, Counted, Counted, Counted];

function callerOf(config: NetworkRateLimit, env: FilterEnv<never>): (message: Buffer) => Promise<Buffer> {
  const { cluster_name: service, authority } = config.rate_limit_service.grpc_service.envoy_grpc as {
    cluster_name: string;
    authority: string;
  };
  const timeoutMs = config.timeout === 0 ? LONGEST_CALL_MS : config.timeout;
  const options = authority === '' ? { timeoutMs } : { timeoutMs, authority };
  return (message) => env.calls.unary(service, SHOULD_RATE_LIMIT, message, options);
}

/** The request to the service for a connection. @throws FormatError for an operator that does not exist */
function compileDescriptors(config: NetworkRateLimit): (stream: NetworkStream) => Buffer {
  const domain = toWireText(config.domain);
  const descriptors = config.descriptors.map(({ entries, limit, hits_addend: hits }) => ({
    entries: entries.map(({ key, value }) => ({ key: toWireText(key), value: compileFormat(value) })),
    limit: overrideOf(limit),
    hits: hits === undefined ? undefined : Number(hits),
  }));
  const writer = new RateLimitRequestWriter();
  return (stream) => {
    writer.begin(domain);
    for (const { entries, limit, hits } of descriptors) {
      writer.openDescriptor();
      for (const { key, value } of entries) writer.entry(key, value(stream));
      writer.closeDescriptor(limit, hits);
    }
    return writer.finish(0);
  };
}

function overrideOf(limit: RateLimitDescriptor['limit']): LimitOverride | undefined {
  if (limit === undefined) return undefined;
  return { requestsPerUnit: limit.requests_per_unit, unit: RATE_LIMIT_UNIT[limit.unit] as number };
}
