import { parse } from 'yaml';
import { type CallScript, ScriptedCalls } from '../../src/filter/harness-calls.ts';
import { NO_RATE_LIMITS } from '../../src/filter/http.ts';
import {
  type FilterEnv,
  type HttpFilterDefinition,
  type HttpFilterHooks,
  type HttpStream,
  type NetworkFilterDefinition,
  type NetworkFilterHooks,
  type NetworkStream,
  RequestHead,
  ResponseHead,
  type RouteView,
  Slot,
  type StandardSchemaV1,
} from '../../src/filter/index.ts';
import { PendingVerdict } from '../../src/filter/pending-verdict.ts';
import type { Taps } from '../../src/filter/taps.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import { formatFlags } from '../../src/http/response-flags.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import type { ConnectionInfo, TlsInfo } from '../../src/observe/stream-info.ts';
import { SharedMemory } from '../../src/shared-memory.ts';

/** Runs one filter's hooks by hand, without a proxy: real heads and statistics, and a stream that is plain data. */

/** Reads a configuration (an object, or YAML) with a filter's schema; throws an Error that lists every problem. */
export function readConfig<C>(schema: StandardSchemaV1<unknown, C>, config: unknown): C {
  const raw = typeof config === 'string' ? parse(config) : config;
  const { '@type': _type, ...fields } = raw as Record<string, unknown>;
  const result = schema['~standard'].validate(fields);
  if (result instanceof Promise) throw new Error('the schema validates asynchronously');
  if (result.issues === undefined) return result.value;
  const problems = result.issues.map((issue) => {
    const path = (issue.path ?? []).map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  throw new Error(problems.join('; '));
}

/** A head from `{ ':method': 'GET', ':path': '/', name: value }`; a list of values makes several lines. */
export function requestHead(fields: Record<string, string | string[]> = {}): RequestHead {
  const head = new RequestHead();
  head.method = 'GET';
  head.path = '/';
  head.authority = 'test.example';
  for (const [name, value] of Object.entries(fields)) {
    for (const line of typeof value === 'string' ? [value] : value) {
      if (name.startsWith(':') || name === 'host') head.set(name, line);
      else head.add(name, line);
    }
  }
  return head;
}

export function responseHead(status = 200, fields: Record<string, string> = {}): ResponseHead {
  const head = new ResponseHead();
  head.status = status;
  for (const [name, value] of Object.entries(fields)) head.add(name, value);
  return head;
}

/** What a test may say about a stream; the rest has the values of a plain loopback connection. */
export interface StreamFacts {
  /** The peer of the connection, and the client's address unless `remoteAddress` differs. */
  peer?: string;
  remoteAddress?: string;
  local?: string;
  localPort?: number;
  serverName?: string;
  tls?: TlsInfo;
  route?: Partial<RouteView>;
  connection?: ConnectionInfo;
  isGrpc?: boolean;
}

/** A stream of one request. */
export class TestStream implements HttpStream {
  readonly request: RequestHead;
  readonly connection: ConnectionInfo;
  readonly remoteAddress: string;
  readonly route: RouteView | undefined;
  readonly isUpgrade = false;
  readonly isGrpc: boolean;
  readonly slots: unknown[] = [];
  readonly startTimeEpochMs = Date.now();
  readonly startMs = performance.now();
  readonly requestEndMs = 0;
  readonly upstreamTxBeginMs = 0;
  readonly upstreamTxEndMs = 0;
  readonly upstreamRxBeginMs = 0;
  readonly upstreamRxEndMs = 0;
  readonly downstreamTxBeginMs = 0;
  readonly downstreamTxEndMs = 0;
  readonly endMs = 0;
  readonly bytesReceived = 0;
  readonly bytesSent = 0;
  readonly requestTrailers: HeaderMap | undefined = undefined;
  response: ResponseHead | undefined = undefined;
  readonly responseTrailers: HeaderMap | undefined = undefined;
  responseCode = 0;
  responseFlags = 0;
  readonly responseCodeDetails = '';
  readonly connectionTerminationDetails = '';
  readonly upstreamCluster = '';
  readonly upstreamHost = '';
  readonly upstreamLocalAddress = '';
  readonly upstreamTransportFailureReason = '';
  readonly downstreamTransportFailureReason = '';
  readonly upstreamAttemptCount = 0;
  readonly routeName = '';
  readonly virtualHostName = '';
  routeCacheCleared = 0;
  readonly #metadata = new Map<string, Record<string, unknown>>();
  readonly #filterState = new Map<string, unknown>();
  readonly #abort = new AbortController();

  constructor(request: RequestHead, facts: StreamFacts = {}) {
    this.request = request;
    this.isGrpc = facts.isGrpc ?? false;
    const peer = facts.peer ?? '127.0.0.1';
    this.remoteAddress = facts.remoteAddress ?? facts.connection?.remoteAddress ?? peer;
    this.connection = facts.connection ?? {
      id: 1,
      remoteAddress: peer,
      remotePort: 50000,
      localAddress: facts.local ?? '127.0.0.1',
      localPort: facts.localPort ?? 8080,
      serverName: facts.serverName ?? '',
      tls: facts.tls,
    };
    this.route = facts.route === undefined ? undefined : { ...NO_ROUTE, ...facts.route };
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The flags as %RESPONSE_FLAGS% prints them. */
  get flags(): string {
    return formatFlags(this.responseFlags);
  }

  setMetadata(namespace: string, key: string, value: unknown): void {
    const values = this.#metadata.get(namespace) ?? {};
    this.#metadata.set(namespace, { ...values, [key]: value });
  }

  getMetadata(namespace: string, key?: string): unknown {
    const values = this.#metadata.get(namespace);
    return key === undefined ? values : values?.[key];
  }

  setFilterState(key: string, value: unknown): void {
    this.#filterState.set(key, value);
  }

  getFilterState(key: string): unknown {
    return this.#filterState.get(key);
  }

  clearRouteCache(): void {
    this.routeCacheCleared++;
  }

  addResponseFlag(bit: number): void {
    this.responseFlags |= bit;
  }

  /** As if the client had gone away. */
  abort(): void {
    this.#abort.abort();
  }
}

const NO_ROUTE: RouteView = {
  name: '',
  virtualHostName: '',
  clusterName: '',
  clusterHeader: '',
  metadata: {},
  rateLimits: NO_RATE_LIMITS,
};

export interface HarnessOptions<R = unknown> {
  routeConfigs?: R[];
  healthy?: () => boolean;
  healthyPercent?: (cluster: string) => number | undefined;
  node?: { id: string; cluster: string };
  /** Who may attach to the filter. */
  taps?: Taps;
  /** What the filter's own calls lead to. */
  calls?: CallScript;
  /** Shared memory of the process, when several instances stand for several workers. */
  memory?: Map<string, SharedArrayBuffer>;
}

/** What a filter is given at load; `stats` is below `http.test.`. */
export function filterEnv<R>(store: StatsStore, options: HarnessOptions<R> = {}): FilterEnv<R> {
  const memory = options.memory ?? new Map<string, SharedArrayBuffer>();
  const silent = () => {};
  let slots = 0;
  return {
    name: 'under-test',
    stats: store.scope('http').scope('test'),
    routeConfigs: options.routeConfigs ?? [],
    log: { debug: silent, info: silent, warn: silent, error: silent },
    slot: <T>() => new Slot<T>(slots++),
    shared(key, bytes) {
      const known = memory.get(key);
      if (known !== undefined) return known;
      const made = new SharedArrayBuffer(bytes);
      memory.set(key, made);
      return made;
    },
    sharedCount(key) {
      return new SharedMemory(memory).count(key);
    },
    proxy: {
      healthy: options.healthy ?? (() => true),
      healthyPercent: options.healthyPercent ?? (() => undefined),
      clusterStats: (cluster) => store.scope('cluster').scope(cluster),
      node: options.node ?? { id: 'test-node', cluster: 'test-cluster' },
    },
    calls: new ScriptedCalls(options.calls),
    taps: options.taps ?? { open: () => () => undefined },
  };
}

/** One HTTP filter with a configuration. */
export class HttpFilterHarness {
  readonly hooks: HttpFilterHooks;
  readonly stats = new StatsStore();

  // biome-ignore lint/suspicious/noExplicitAny: a harness takes filters of every configuration type
  constructor(definition: HttpFilterDefinition<any, any>, config: unknown, options: HarnessOptions = {}) {
    const routeSchema = definition.routeConfig ?? definition.config;
    const routeConfigs = (options.routeConfigs ?? []).map((override) =>
      routeSchema === undefined ? override : readConfig(routeSchema, override),
    );
    const parsed = definition.config === undefined ? config : readConfig(definition.config, config);
    this.hooks = definition.create(parsed, filterEnv(this.stats, { ...options, routeConfigs }));
  }

  /** Makes a stream and runs the request hook on it. */
  request(fields: Record<string, string | string[]> = {}, facts: StreamFacts = {}) {
    const stream = new TestStream(requestHead(fields), facts);
    const verdict = this.hooks.onRequest?.(stream.request, stream);
    return {
      stream,
      request: stream.request,
      verdict: verdict instanceof PendingVerdict ? verdict.asPromise() : verdict,
    };
  }

  /** Runs the response hook. */
  response(stream: TestStream, response = responseHead()) {
    stream.response = response;
    stream.responseCode = response.status;
    return { response, verdict: this.hooks.onResponse?.(response, stream) };
  }

  /** A counter's or gauge's value by its full name; undefined when it does not exist. */
  stat(name: string): number | undefined {
    return (this.stats.counters.get(name) ?? this.stats.gauges.get(name))?.value;
  }
}

/** One network filter with a configuration. */
export class NetworkFilterHarness {
  readonly hooks: NetworkFilterHooks;
  readonly stats = new StatsStore();

  // biome-ignore lint/suspicious/noExplicitAny: a harness takes filters of every configuration type
  constructor(definition: NetworkFilterDefinition<any>, config: unknown, options: HarnessOptions<never> = {}) {
    const parsed = definition.config === undefined ? config : readConfig(definition.config, config);
    this.hooks = definition.create(parsed, filterEnv<never>(this.stats, options));
  }

  connect(facts: StreamFacts = {}) {
    const stream: NetworkStream & TestStream = new TestStream(requestHead(), facts);
    return { stream, verdict: this.hooks.onConnection?.(stream) };
  }

  stat(name: string): number | undefined {
    return (this.stats.counters.get(name) ?? this.stats.gauges.get(name))?.value;
  }
}
