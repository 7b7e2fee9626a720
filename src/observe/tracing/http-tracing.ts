import type { UuidRequestIdConfig } from '../../config/schema/http-connection-manager.ts';
import type { CustomTag, Decorator, RouteTracing, Tracing } from '../../config/schema/tracing.ts';
import type { RequestHead } from '../../http/message.ts';
import { compileFormat, type Format } from '../format/compile-format.ts';
import { toByteString } from '../format/escape.ts';
import type { Counter, StatsScope } from '../stats.ts';
import type { StreamInfo } from '../stream-info.ts';
import { compileCustomTag, type TagSource } from './custom-tags.ts';
import { SPAN_KIND, type Span, type SpanKind } from './span.ts';
import { StreamTrace } from './stream-trace.ts';
import { decideReason, managerShares, routeShares, type Shares, type TraceReason } from './trace-reason.ts';
import type { Tracer, TracerEnv } from './tracer.ts';

/** What one route says of its traces, compiled. */
export interface RouteTraceRules {
  readonly shares: Shares | undefined;
  readonly decorator: { readonly operation: string; readonly propagate: boolean } | undefined;
  /** The manager's tags and the route's own; undefined leaves the manager's. */
  readonly tags: readonly TagSource[] | undefined;
  readonly operation: Format | undefined;
  readonly upstreamOperation: Format | undefined;
}

/** A request that may be traced. */
export interface TraceableStream extends StreamInfo {
  readonly request: RequestHead;
  isTraceable: boolean;
}

export interface HttpTracingOptions {
  readonly config: Tracing;
  /** Undefined without a provider: ids then tell proxies further on what was decided, and that is all. */
  readonly tracer: Tracer | undefined;
  /** The listener's `traffic_direction` is OUTBOUND. */
  readonly isEgress: boolean;
  readonly requestIds: UuidRequestIdConfig;
  /** `http.<stat_prefix>.` */
  readonly stats: StatsScope;
  readonly node: TracerEnv['node'];
}

/** Tracing of one connection manager: which requests, and what their spans say. */
export class HttpTracing {
  readonly isEgress: boolean;
  readonly kind: SpanKind;
  /** Each try has a span of its own, so that the proxy counts as a hop. */
  readonly spawnsTries: boolean;
  readonly propagates: boolean;
  readonly isVerbose: boolean;
  readonly maxPathLength: number;
  readonly nodeId: string;
  readonly zone: string;
  private readonly tracer: Tracer | undefined;
  private readonly shares: Shares;
  private readonly requestIds: UuidRequestIdConfig;
  private readonly counters: Readonly<Record<TraceReason, Counter>>;
  private readonly customTags: readonly CustomTag[];
  private readonly tags: readonly TagSource[];
  private readonly operation: Format | undefined;
  private readonly upstreamOperation: Format | undefined;

  /** @throws FormatError */
  constructor(options: HttpTracingOptions) {
    const { config, stats, node } = options;
    this.tracer = options.tracer;
    this.isEgress = options.isEgress;
    this.spawnsTries = config.spawn_upstream_span ?? false;
    this.kind = this.isEgress && !this.spawnsTries ? SPAN_KIND.CLIENT : SPAN_KIND.SERVER;
    this.propagates = !config.no_context_propagation;
    this.isVerbose = config.verbose;
    this.maxPathLength = config.max_path_tag_length;
    this.nodeId = toByteString(node.id);
    this.zone = toByteString(node.zone ?? '');
    this.shares = managerShares(config);
    this.requestIds = options.requestIds;
    this.counters = {
      random_sampling: stats.counter('tracing.random_sampling'),
      service_forced: stats.counter('tracing.service_forced'),
      client_enabled: stats.counter('tracing.client_enabled'),
      not_traceable: stats.counter('tracing.not_traceable'),
    };
    stats.counter('tracing.health_check');
    this.customTags = config.custom_tags;
    this.tags = config.custom_tags.map(compileCustomTag);
    this.operation = compileOperation(config.operation);
    this.upstreamOperation = compileOperation(config.upstream_operation);
  }

  /** @throws FormatError */
  compileRoute(tracing: RouteTracing | undefined, decorator: Decorator | undefined): RouteTraceRules | undefined {
    if (tracing === undefined && decorator === undefined) return undefined;
    const own = new Set(tracing?.custom_tags.map(({ tag }) => tag));
    const inherited = this.customTags.filter(({ tag }) => !own.has(tag));
    return {
      shares: tracing === undefined ? undefined : routeShares(tracing),
      decorator:
        decorator === undefined
          ? undefined
          : { operation: toByteString(decorator.operation), propagate: decorator.propagate },
      tags: own.size === 0 ? undefined : [...inherited, ...(tracing?.custom_tags ?? [])].map(compileCustomTag),
      operation: compileOperation(tracing?.operation ?? ''),
      upstreamOperation: compileOperation(tracing?.upstream_operation ?? ''),
    };
  }

  /** Decides over a request, whose route is known. Undefined where there is nobody to report to. */
  start(stream: TraceableStream, rules: RouteTraceRules | undefined): StreamTrace | undefined {
    const { request } = stream;
    const reason = decideReason(request, rules?.shares ?? this.shares, this.requestIds);
    this.counters[reason].inc();
    stream.isTraceable = reason !== 'not_traceable';
    const { tracer } = this;
    if (tracer === undefined) return undefined;
    const parent = tracer.propagation.extract(request);
    return new StreamTrace(this, tracer, stream, request, parent, stream.isTraceable, rules);
  }

  /** The span is called by a format, which is read at its end. */
  formatsOperation(rules: RouteTraceRules | undefined): boolean {
    return (rules?.operation ?? this.operation) !== undefined;
  }

  /** What the configuration adds to a span at its end. */
  complete(span: Span, info: StreamInfo, rules: RouteTraceRules | undefined, ofTry: boolean): void {
    for (const tag of rules?.tags ?? this.tags) {
      const value = tag.read(info);
      if (value !== '') span.tag(tag.name, value);
    }
    const format = ofTry ? (rules?.upstreamOperation ?? this.upstreamOperation) : (rules?.operation ?? this.operation);
    const name = format?.(info) ?? '';
    if (name !== '') span.name = name;
  }
}

function compileOperation(text: string): Format | undefined {
  return text === '' ? undefined : compileFormat(text, { unset: '' });
}
