import type { RateLimit } from '../config/schema/rate-limit.ts';
import type { HeaderMap } from '../http/headers.ts';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { FilterEnv } from './env.ts';
import type { PendingVerdict } from './pending-verdict.ts';
import type { FilterSemantics } from './semantics.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';
import type { Verdict } from './verdict.ts';

/** One request and its response, as a filter sees it. The same object for every hook of one stream. */
export interface HttpStream extends StreamInfo {
  readonly request: RequestHead;
  /** The route that the request matched; undefined before a match and when none matches. */
  readonly route: RouteView | undefined;
  /** True for a WebSocket or other upgrade and for CONNECT: bodies are then opaque bytes. */
  readonly isUpgrade: boolean;
  /** True when the content-type is application/grpc. */
  readonly isGrpc: boolean;
  /** Per-stream state of filters, indexed by `Slot.index`; use `slot.get(stream)`. */
  readonly slots: unknown[];
  /** Writes a value for other filters, RBAC, logs: `%DYNAMIC_METADATA(namespace:key)%`. */
  setMetadata(namespace: string, key: string, value: unknown): void;
  setFilterState(key: string, value: unknown): void;
  /** Matches the routes again when the router asks for one; call it after changing what routes match on. */
  clearRouteCache(): void;
  /** Adds a response flag to the log line. */
  addResponseFlag(bit: number): void;
  /** Aborted when the client goes away or the stream ends; made on first use. */
  readonly signal: AbortSignal;
}

/** What a filter may know of the matched route. */
export interface RouteView {
  readonly name: string;
  readonly virtualHostName: string;
  /** '' for a redirect or a direct response. */
  readonly clusterName: string;
  /** Lower-case name of the header that names the cluster; '' where the configuration does. */
  readonly clusterHeader: string;
  readonly metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The same object for every request to the route. */
  readonly rateLimits: RouteRateLimits;
}

/** `rate_limits` of a route and its virtual host; a route that leads nowhere has none. */
export interface RouteRateLimits {
  readonly route: readonly RateLimit[];
  readonly virtualHost: readonly RateLimit[];
  /** `include_vh_rate_limits`. */
  readonly includesVirtualHost: boolean;
}

export const NO_RATE_LIMITS: RouteRateLimits = Object.freeze({
  route: [],
  virtualHost: [],
  includesVirtualHost: false,
});

/** What a hook returns: nothing (go on), a verdict, or a promise of either (the stream waits, the source of a body is paused). */
export type HookResult = undefined | Verdict | void;

/** What a body hook returns: nothing (pass the chunk), other bytes in its place (empty swallows it), a verdict, or a promise. */
export type BodyHookResult = undefined | Uint8Array | Verdict | void;

/**
 * The hooks of one configured filter. An absent hook is never called. Request hooks run in configured order, response
 * hooks in reverse, `onDone` exactly once for every stream on which a request hook could have run, whatever happened.
 *
 * A chunk is valid during the call only: copy what you keep.
 */
export interface HttpFilterHooks {
  onRequest?(request: RequestHead, stream: HttpStream): HookResult | Promise<HookResult> | PendingVerdict;
  /** `end` is true for the last chunk, which may be empty. */
  onRequestBody?(chunk: Buffer, end: boolean, stream: HttpStream): BodyHookResult | Promise<BodyHookResult>;
  onRequestTrailers?(trailers: HeaderMap, stream: HttpStream): void;
  onResponse?(response: ResponseHead, stream: HttpStream): HookResult | Promise<HookResult>;
  onResponseBody?(chunk: Buffer, end: boolean, stream: HttpStream): BodyHookResult | Promise<BodyHookResult>;
  onResponseTrailers?(trailers: HeaderMap, stream: HttpStream): void;
  /**
   * For filters with `body: 'write'` that change the bodies of some streams only: whether those of this one. Asked
   * behind the head's hooks; without it, the length that a peer announced is forgotten for every stream.
   */
  rewritesBody?(stream: HttpStream): boolean;
  /** The stream is over and its figures are final. */
  onDone?(stream: HttpStream): void;
  /** The configuration that made these hooks serves from now on, its clusters too: begin what runs in the background. */
  onStart?(): void;
  /** The configuration that made these hooks is gone: stop timers, close files. */
  dispose?(): void;
}

/**
 * An HTTP filter: what it is called, what its configuration looks like, what the planner must know, and how a
 * configuration becomes hooks. `create` runs once per configuration (and once more per route that overrides it).
 */
export interface HttpFilterDefinition<C = unknown, R = C> {
  /** Envoy's name for ours (`envoy.filters.http.rbac`), your own for yours. */
  readonly name: string;
  /** Full protobuf names that select this filter in `typed_config`, without the `type.googleapis.com/` prefix. */
  readonly configType?: string;
  readonly config?: StandardSchemaV1<unknown, C>;
  /** `typed_per_filter_config`: its type and schema when they differ from the filter's own. */
  readonly routeConfigType?: string;
  readonly routeConfig?: StandardSchemaV1<unknown, R>;
  readonly semantics: FilterSemantics;
  /** What a hook that throws, or outlives `timeoutMs`, does to its request: 500 (closed, the default) or go on (open). */
  readonly onError?: 'closed' | 'open';
  /** Longest time that a promise of a hook may take, default 5000 ms. */
  readonly timeoutMs?: number;
  /**
   * Once a promise of its hooks is settled, the filter holds nothing of the stream any more: its object may serve the next
   * request. Where that is not promised, a stream whose hooks were waited for is left to the garbage collector.
   */
  readonly letsGoOfStreams?: boolean;
  /** Loads modules that only users of the filter need; settled before `create` is first called. */
  prepare?(): Promise<void>;
  create(config: C, env: FilterEnv<R>): HttpFilterHooks;
}

/**
 * Declares an HTTP filter; the identity function, for its types.
 *
 * @example
 * export default defineHttpFilter({
 *   name: 'stamp',
 *   semantics: { side: 'either', state: 'none', body: 'none' },
 *   create: () => ({ onRequest(request) { request.set('x-stamped', 'yes'); } }),
 * });
 */
export function defineHttpFilter<C = unknown, R = C>(
  definition: HttpFilterDefinition<C, R>,
): HttpFilterDefinition<C, R> {
  return definition;
}
