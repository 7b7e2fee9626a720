import type { Decorator, RouteTracing } from '../../config/schema/tracing.ts';
import type { RouteView } from '../../filter/http.ts';
import type { StreamInfo } from '../../observe/stream-info.ts';
import type { RouteTraceRules } from '../../observe/tracing/index.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import type { RetryRules } from '../retry.ts';
import type { DirectResponse } from './direct-response.ts';
import type { StreamHash } from './hash-policy.ts';
import type { HeaderMutator } from './header-mutations.ts';
import type { MirrorPolicy } from './mirror-policy.ts';
import type { Redirect } from './redirect.ts';
import { type HostTrace, type PathRewrite, setHost } from './rewrite.ts';
import type { PerFilterConfig } from './route-level.ts';

/** A stream that a route can answer by itself. */
export interface AnswerableStream extends StreamInfo {
  readonly request: RequestHead;
  sendLocalReply(
    status: number,
    body: string,
    flag: number,
    details: string,
    headers?: Readonly<Record<string, string>>,
  ): void;
}

/** Everything a route knows; times in milliseconds. */
export interface RouteFacts {
  readonly name: string;
  readonly virtualHostName: string;
  /** '' for a redirect, a direct response, and where a header names the cluster. */
  readonly clusterName: string;
  /** Lower-case name of the header that names the cluster; '' without. */
  readonly clusterHeader: string;
  readonly metadata: RouteView['metadata'];
  readonly rateLimits: RouteView['rateLimits'];
  readonly clusterNotFoundStatus: 404 | 500 | 503;
  /** For the whole response, retries included; 0 is off. */
  readonly timeoutMs: number;
  /** Overrides the manager's stream idle timeout; undefined leaves it, 0 is off. */
  readonly idleTimeoutMs: number | undefined;
  /** Overrides the manager's; undefined leaves it, 0 is off. */
  readonly maxStreamDurationMs: number | undefined;
  /** Upper bound for a timeout taken from grpc-timeout, 0 without a bound; undefined ignores that header. */
  readonly grpcTimeoutMaxMs: number | undefined;
  /** Subtracted from grpc-timeout. */
  readonly grpcTimeoutOffsetMs: number;
  readonly priority: 'DEFAULT' | 'HIGH';
  readonly retry: RetryRules | undefined;
  readonly hash: StreamHash | undefined;
  readonly mirrors: readonly MirrorPolicy[];
  /** Whether an upgrade type (lower case, `connect` for CONNECT) is allowed; types that are not here follow the manager. */
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly includeAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly perFilterConfigs: readonly PerFilterConfig[];
  readonly requestMutators: readonly HeaderMutator[];
  readonly responseMutators: readonly HeaderMutator[];
  readonly hostRewrite: ((request: RequestHead) => void) | undefined;
  readonly autoHostRewrite: boolean;
  readonly appendForwardedHost: boolean;
  readonly pathRewrite: PathRewrite | undefined;
  /** Whether rewrites leave what was before in x-envoy-original-path and x-envoy-original-host. */
  readonly keepOriginal: boolean;
  readonly redirect: Redirect | undefined;
  readonly directResponse: DirectResponse | undefined;
  readonly tracing: RouteTracing | undefined;
  readonly decorator: Decorator | undefined;
}

/**
 * One route, or one cluster of a route with weighted clusters, with everything precomputed. All entries have the same
 * shape, so that the code that uses them stays monomorphic.
 */
export class RouteEntry {
  readonly name: string;
  readonly virtualHostName: string;
  readonly clusterName: string;
  readonly clusterNotFoundStatus: 404 | 500 | 503;
  readonly timeoutMs: number;
  readonly idleTimeoutMs: number | undefined;
  readonly maxStreamDurationMs: number | undefined;
  readonly grpcTimeoutMaxMs: number | undefined;
  readonly grpcTimeoutOffsetMs: number;
  /** The route says something of its own about how long a stream may be idle or last. */
  readonly changesStreamTimes: boolean;
  readonly priority: 'DEFAULT' | 'HIGH';
  readonly retry: RetryRules | undefined;
  readonly hash: StreamHash | undefined;
  readonly mirrors: readonly MirrorPolicy[];
  readonly upgrades: ReadonlyMap<string, boolean>;
  readonly includeAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /** `typed_per_filter_config` of the levels that have one, the least specific first. */
  readonly perFilterConfigs: readonly PerFilterConfig[];
  readonly redirect: Redirect | undefined;
  readonly directResponse: DirectResponse | undefined;
  /** Sets the authority to the endpoint's host name (`auto_host_rewrite`); undefined without. */
  readonly rewriteHost: ((request: RequestHead, hostname: string) => void) | undefined;
  /** What filters may know of the route. */
  readonly view: RouteView;
  /** The connection manager's: the filter chain of this route. */
  chain: unknown = undefined;
  /** The connection manager's: what the route says of traces, where it traces. */
  traceRules: RouteTraceRules | undefined = undefined;
  readonly tracing: RouteTracing | undefined;
  readonly decorator: Decorator | undefined;
  private readonly clusterHeader: string;
  private readonly requestMutators: readonly HeaderMutator[];
  private readonly responseMutators: readonly HeaderMutator[];
  private readonly hostRewrite: ((request: RequestHead) => void) | undefined;
  private readonly pathRewrite: PathRewrite | undefined;
  private readonly keepOriginal: boolean;

  constructor(facts: RouteFacts) {
    this.name = facts.name;
    this.virtualHostName = facts.virtualHostName;
    this.clusterName = facts.clusterName;
    this.clusterNotFoundStatus = facts.clusterNotFoundStatus;
    this.timeoutMs = facts.timeoutMs;
    this.idleTimeoutMs = facts.idleTimeoutMs;
    this.maxStreamDurationMs = facts.maxStreamDurationMs;
    this.grpcTimeoutMaxMs = facts.grpcTimeoutMaxMs;
    this.grpcTimeoutOffsetMs = facts.grpcTimeoutOffsetMs;
    this.changesStreamTimes =
      facts.idleTimeoutMs !== undefined ||
      facts.maxStreamDurationMs !== undefined ||
      facts.grpcTimeoutMaxMs !== undefined;
    this.priority = facts.priority;
    this.retry = facts.retry;
    this.hash = facts.hash;
    this.mirrors = facts.mirrors;
    this.upgrades = facts.upgrades;
    this.includeAttemptCount = facts.includeAttemptCount;
    this.includeAttemptCountInResponse = facts.includeAttemptCountInResponse;
    this.perFilterConfigs = facts.perFilterConfigs;
    this.redirect = facts.redirect;
    this.directResponse = facts.directResponse;
    this.tracing = facts.tracing;
    this.decorator = facts.decorator;
    this.rewriteHost = facts.autoHostRewrite
      ? autoHostRewrite({ forwarded: facts.appendForwardedHost, keepOriginal: facts.keepOriginal })
      : undefined;
    this.view = Object.freeze({
      name: facts.name,
      virtualHostName: facts.virtualHostName,
      clusterName: facts.clusterName,
      clusterHeader: facts.clusterHeader,
      metadata: facts.metadata,
      rateLimits: facts.rateLimits,
    });
    this.clusterHeader = facts.clusterHeader;
    this.requestMutators = facts.requestMutators;
    this.responseMutators = facts.responseMutators;
    this.hostRewrite = facts.hostRewrite;
    this.pathRewrite = facts.pathRewrite;
    this.keepOriginal = facts.keepOriginal;
  }

  /** The cluster for a request: the configured one, or the one that a header names ('' when the header is missing). */
  pickCluster(request: RequestHead): string {
    return this.clusterHeader === '' ? this.clusterName : (request.get(this.clusterHeader) ?? '');
  }

  /** What the route does to a request before it goes upstream: header mutations, then host, then path. */
  finalizeRequest(request: RequestHead, stream: StreamInfo): void {
    const mutators = this.requestMutators;
    for (let i = 0; i < mutators.length; i++) (mutators[i] as HeaderMutator)(request, stream);
    if (this.hostRewrite !== undefined) this.hostRewrite(request);
    if (this.pathRewrite === undefined) return;
    const original = request.path;
    if (this.keepOriginal) request.set('x-envoy-original-path', original);
    request.path = this.pathRewrite(original);
  }

  /** What the route does to the head of a response: its header mutations. */
  finalizeResponse(response: ResponseHead, stream: StreamInfo): void {
    const mutators = this.responseMutators;
    for (let i = 0; i < mutators.length; i++) (mutators[i] as HeaderMutator)(response, stream);
  }

  /** False where the route itself answers. */
  get leadsUpstream(): boolean {
    return this.redirect === undefined && this.directResponse === undefined;
  }

  /** Answers a redirect or a direct response; false when the route leads to a cluster. */
  answer(stream: AnswerableStream): boolean {
    const { redirect, directResponse } = this;
    if (redirect === undefined && directResponse === undefined) return false;
    // The route's own headers come with every local reply.
    const headers: Record<string, string> = {};
    let status = 200;
    let body = '';
    if (redirect !== undefined) {
      status = redirect.status;
      headers.location = redirect.location(stream.request);
    } else if (directResponse !== undefined) {
      status = directResponse.status;
      body = directResponse.body(stream);
      // As in Envoy, a created resource is said to be the one that was asked for.
      if (status === 201 || (status >= 300 && status < 400)) headers.location = requestUri(stream.request);
      if (directResponse.contentType !== '') headers['content-type'] = directResponse.contentType;
    }
    stream.sendLocalReply(status, body, 0, 'direct_response', headers);
    return true;
  }
}

function requestUri(request: RequestHead): string {
  return `${request.scheme}://${request.authority}${request.path}`;
}

function autoHostRewrite(trace: HostTrace): (request: RequestHead, hostname: string) => void {
  return (request, hostname) => {
    if (hostname !== '') setHost(request, hostname, trace);
  };
}
