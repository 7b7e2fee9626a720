import {
  defineHttpFilter,
  type FilterEnv,
  type HttpStream,
  type Reply,
  reply,
  type Slot,
  type UnaryReceiver,
} from '../../src/filter/index.ts';
import { PendingVerdict } from '../../src/filter/pending-verdict.ts';
import { RateLimitRequestWriter, SHOULD_RATE_LIMIT } from '../../src/http/grpc/rate-limit-request.ts';
import {
  type AddedHeader,
  RATE_LIMIT_CODE,
  type RateLimitResponse,
  readRateLimitResponse,
} from '../../src/http/grpc/rate-limit-response.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import type { RequestHead, ResponseHead } from '../../src/http/message.ts';
import { compileHeaderMutations, type HeaderMutator } from '../../src/http/route/header-mutations.ts';
import { compileFraction } from '../../src/matching/fraction.ts';
import { toWireText } from '../../src/matching/wire-text.ts';
import type { Counter } from '../../src/observe/stats.ts';
import { decodeProtobufStruct } from '../header-to-metadata/protobuf-value.ts';
import { ApplicableLimits } from './applicable-limits.ts';
import { CountedLimit } from './counted-limit.ts';
import { type RateLimitHeaders, rateLimitHeaders, showRateLimit } from './ratelimit-headers.ts';
import { RateLimitConfig, RateLimitPerRoute } from './schema.ts';

const NAME = 'envoy.filters.http.ratelimit';
/** `response_code_details` of a request over its limit. */
const REFUSED = 'request_rate_limited';
/** gRPC's RESOURCE_EXHAUSTED. */
const RESOURCE_EXHAUSTED = 8;
/** A call without a limit of time ends some time all the same; also for the promise that the stream waits for. */
export const LONGEST_CALL_MS = 24 * 3_600_000;

/**
 * Asks a rate limit service whether a request may pass (Envoy: envoy.filters.http.ratelimit), with the descriptors that
 * `rate_limits` of its route and virtual host make of it. Limits that the service keeps hold for all proxies that ask it.
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit
 * domain: shop
 * failure_mode_deny: true
 * rate_limit_service:
 *   transport_api_version: V3
 *   grpc_service: { envoy_grpc: { cluster_name: ratelimit } }
 */
export const rateLimit = defineHttpFilter<RateLimitConfig, RateLimitPerRoute>({
  name: NAME,
  configType: 'envoy.extensions.filters.http.ratelimit.v3.RateLimit',
  config: RateLimitConfig,
  routeConfigType: 'envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute',
  routeConfig: RateLimitPerRoute,
  semantics: { side: 'either', state: 'process', body: 'none' },
  timeoutMs: LONGEST_CALL_MS,
  letsGoOfStreams: true,
  create(config, env) {
    const filter = new RateLimitFilter(config, env);
    return {
      onRequest: (request, stream) => filter.onRequest(request, stream),
      onResponse: (response, stream) => filter.onResponse(response, stream),
      onDone: (stream) => filter.onDone(stream),
    };
  },
});

/** What becomes of a response to a request that the service has judged. */
interface ResponseChanges {
  readonly isOverLimit: boolean;
  readonly headers: readonly AddedHeader[];
  readonly rateLimit: RateLimitHeaders | undefined;
}

interface ClusterCounters {
  readonly ok: Counter;
  readonly error: Counter;
  readonly overLimit: Counter;
  readonly failureModeAllowed: Counter;
  /** What Envoy counts of an answer in the upstream's place. */
  readonly refusals: readonly Counter[];
}

class RateLimitFilter {
  readonly #config: RateLimitConfig;
  readonly #env: FilterEnv<RateLimitPerRoute>;
  readonly #domain: string;
  readonly #limits: ApplicableLimits<CountedLimit>;
  readonly #writer = new RateLimitRequestWriter();
  readonly #isEnabled: () => boolean;
  readonly #isEnforced: () => boolean;
  readonly #denyOnFailure: () => boolean;
  readonly #service: string;
  readonly #options: { readonly timeoutMs: number; readonly authority?: string };
  readonly #showsLimits: boolean;
  readonly #addHeaders: HeaderMutator | undefined;
  readonly #refusal: Reply;
  readonly #failure: Reply;
  readonly #counters = new Map<string, ClusterCounters>();
  /** The request came as far as this filter. */
  readonly #seen: Slot<boolean>;
  readonly #changes: Slot<ResponseChanges>;

  constructor(config: RateLimitConfig, env: FilterEnv<RateLimitPerRoute>) {
    const override = env.routeConfigs.at(-1);
    const own = override === undefined || override.rate_limits.length === 0 ? config.rate_limits : override.rate_limits;
    const sourceCluster = toWireText(env.proxy.node.cluster);
    const { cluster_name: service, authority } = config.rate_limit_service.grpc_service.envoy_grpc as {
      cluster_name: string;
      authority: string;
    };
    this.#config = config;
    this.#env = env;
    this.#domain = toWireText(override === undefined || override.domain === '' ? config.domain : override.domain);
    this.#limits = new ApplicableLimits(
      own,
      config.stage,
      override?.vh_rate_limits ?? 'OVERRIDE',
      (limit) => new CountedLimit(limit, sourceCluster, own.length > 0),
    );
    this.#isEnabled = config.filter_enabled === undefined ? always : compileFraction(config.filter_enabled);
    this.#isEnforced = config.filter_enforced === undefined ? always : compileFraction(config.filter_enforced);
    const denyPercent = config.failure_mode_deny_percent;
    this.#denyOnFailure = denyPercent === undefined ? () => config.failure_mode_deny : compileFraction(denyPercent);
    this.#service = service;
    const timeoutMs = config.timeout === 0 ? LONGEST_CALL_MS : config.timeout;
    this.#options = authority === '' ? { timeoutMs } : { timeoutMs, authority };
    this.#showsLimits = config.enable_x_ratelimit_headers === 'DRAFT_VERSION_03';
    this.#addHeaders = compileHeaderMutations(config.response_headers_to_add, []);
    this.#refusal = refusal(config, '');
    this.#failure = reply(errorStatus(config.status_on_error?.code, 500), {
      flag: 'RLSE',
      details: 'rate_limiter_error',
    });
    this.#seen = env.slot();
    this.#changes = env.slot();
  }

  onRequest(request: RequestHead, stream: HttpStream) {
    if (!this.#concerns(request) || !this.#isEnabled()) return undefined;
    const cluster = this.#clusterOf(request, stream);
    if (cluster === undefined) return undefined;
    this.#seen.set(stream, true);
    const message = this.#describe(request, stream, false);
    if (message === undefined) return undefined;
    const asked = new AskedLimit(this, cluster, request, stream);
    this.#env.calls.ask(this.#service, SHOULD_RATE_LIMIT, message, this.#options, asked);
    return asked;
  }

  #concerns(request: RequestHead): boolean {
    const type = this.#config.request_type;
    return type === 'both' || type === '' || (request.get('x-envoy-internal') === 'true') === (type === 'internal');
  }

  /** The request to the service; undefined when no limit concerns this one. */
  #describe(request: RequestHead, stream: HttpStream, onDone: boolean): Buffer | undefined {
    const limits = this.#limits.of(stream.route);
    const writer = this.#writer;
    let descriptors = 0;
    for (let i = 0; i < limits.length; i++) {
      const limit = limits[i] as CountedLimit;
      if (limit.appliesOnDone !== onDone) continue;
      if (descriptors === 0) writer.begin(this.#domain);
      if (limit.describe(request, stream, writer)) descriptors++;
    }
    return descriptors === 0 ? undefined : writer.finish(hitsOf(stream));
  }

  /** What becomes of a request that was asked for. An answer that cannot be read is none. */
  judge(message: Buffer, cluster: ClusterCounters, request: RequestHead, stream: HttpStream): Reply | undefined {
    let answer: RateLimitResponse;
    try {
      answer = readRateLimitResponse(message, this.#showsLimits);
    } catch {
      return this.onError(cluster);
    }
    return this.#onAnswer(answer, cluster, request, stream);
  }

  onError(cluster: ClusterCounters): Reply | undefined {
    cluster.error.inc();
    if (this.#denyOnFailure()) return this.#failure;
    cluster.failureModeAllowed.inc();
    return undefined;
  }

  #onAnswer(
    answer: RateLimitResponse,
    cluster: ClusterCounters,
    request: RequestHead,
    stream: HttpStream,
  ): Reply | undefined {
    if (answer.metadata !== undefined) takeMetadata(stream, answer.metadata);
    // Envoy takes every code but OVER_LIMIT for a yes, and asserts that there is no third one.
    const isOverLimit = answer.overallCode === RATE_LIMIT_CODE.OVER_LIMIT;
    const limits = this.#showsLimits ? rateLimitHeaders(answer.statuses) : undefined;
    if (isOverLimit || limits !== undefined || answer.responseHeaders.length > 0)
      this.#changes.set(stream, { isOverLimit, headers: answer.responseHeaders, rateLimit: limits });
    if (!isOverLimit) {
      cluster.ok.inc();
      addAll(request, answer.requestHeaders);
      return undefined;
    }
    cluster.overLimit.inc();
    for (const counter of cluster.refusals) counter.inc();
    if (this.#isEnforced()) return answer.body === '' ? this.#refusal : refusal(this.#config, answer.body);
    addAll(request, answer.requestHeaders);
    return undefined;
  }

  onResponse(response: ResponseHead, stream: HttpStream): undefined {
    const changes = this.#changes.get(stream);
    if (changes === undefined) return;
    const { isOverLimit, headers, rateLimit: limits } = changes;
    const isRefusal = stream.responseCodeDetails === REFUSED;
    addAll(response, headers, isRefusal, isRefusal && stream.isGrpc);
    if (limits !== undefined) showRateLimit(response, limits);
    if (!isOverLimit) return;
    if (!this.#config.disable_x_envoy_ratelimited_header) response.set('x-envoy-ratelimited', 'true');
    if (isRefusal) this.#addHeaders?.(response, stream);
  }

  onDone(stream: HttpStream): void {
    if (this.#seen.get(stream) !== true) return;
    const message = this.#describe(stream.request, stream, true);
    if (message !== undefined) void this.#env.calls.unary(this.#service, SHOULD_RATE_LIMIT, message, this.#options);
  }

  /** Counters of the cluster that the request goes to; undefined when there is none. */
  #clusterOf(request: RequestHead, { route }: HttpStream): ClusterCounters | undefined {
    if (route === undefined) return undefined;
    const name = route.clusterHeader === '' ? route.clusterName : (request.get(route.clusterHeader) ?? '');
    const known = this.#counters.get(name);
    if (known !== undefined) return known;
    const stats = this.#env.proxy.clusterStats(name);
    if (stats === undefined) return undefined;
    const prefix = this.#config.stat_prefix;
    const scope = prefix === '' ? stats.scope('ratelimit') : stats.scope('ratelimit').scope(prefix);
    const counters: ClusterCounters = {
      ok: scope.counter('ok'),
      error: scope.counter('error'),
      overLimit: scope.counter('over_limit'),
      failureModeAllowed: scope.counter('failure_mode_allowed'),
      refusals: refusalCounters(this.#refusal.status).map((counter) => stats.counter(counter)),
    };
    this.#counters.set(name, counters);
    return counters;
  }
}

/** A request that waits for the service. */
class AskedLimit extends PendingVerdict implements UnaryReceiver {
  private readonly filter: RateLimitFilter;
  private readonly cluster: ClusterCounters;
  private readonly request: RequestHead;
  private readonly stream: HttpStream;

  constructor(filter: RateLimitFilter, cluster: ClusterCounters, request: RequestHead, stream: HttpStream) {
    super();
    this.filter = filter;
    this.cluster = cluster;
    this.request = request;
    this.stream = stream;
  }

  onMessage(message: Buffer): void {
    let verdict: Reply | undefined;
    try {
      verdict = this.filter.judge(message, this.cluster, this.request, this.stream);
    } catch (error) {
      this.fail(error);
      return;
    }
    this.settle(verdict);
  }

  onFailure(): void {
    this.settle(this.filter.onError(this.cluster));
  }
}

const always = (): boolean => true;

function refusalCounters(status: number): string[] {
  return ['upstream_rq_completed', `upstream_rq_${Math.trunc(status / 100)}xx`, `upstream_rq_${status}`];
}

/** Envoy takes only errors. */
function errorStatus(code: number | undefined, fallback: number): number {
  return code === undefined || code < 400 ? fallback : code;
}

function refusal(config: RateLimitConfig, body: string): Reply {
  return reply(errorStatus(config.rate_limited_status?.code, 429), {
    body,
    flag: 'RL',
    details: REFUSED,
    ...(config.rate_limited_as_resource_exhausted && { grpcStatus: RESOURCE_EXHAUSTED }),
  });
}

/** What a filter before this one says that the request counts; 0 leaves it to the service. */
function hitsOf(stream: HttpStream): number {
  const hits = Number(stream.getFilterState('envoy.ratelimit.hits_addend') ?? 0);
  return Number.isSafeInteger(hits) && hits > 0 && hits <= 0xffffffff ? hits : 0;
}

function takeMetadata(stream: HttpStream, bytes: Buffer): void {
  for (const [key, value] of Object.entries(decodeProtobufStruct(bytes))) stream.setMetadata(NAME, key, value);
}

/**
 * Headers that the service adds; one that no message may carry is left out. The service knows better than a refusal what
 * its body is, but a gRPC call has none.
 */
function addAll(head: HeaderMap, headers: readonly AddedHeader[], isRefusal = false, isGrpcRefusal = false): void {
  for (const [name, value] of headers) {
    if (name.charCodeAt(0) === 58 || (isGrpcRefusal && name === 'content-type')) continue;
    try {
      if (isRefusal && name === 'content-type') head.set(name, value);
      else head.add(name, value);
    } catch {}
  }
}
