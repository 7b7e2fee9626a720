import type {
  OpenTelemetryConfig,
  StaticResourceDetector,
  TracingProvider,
  ZipkinConfig,
} from '../../config/schema/tracing.ts';
import type { Calls } from '../../filter/calls.ts';
import { packageInfo } from '../../package-info.ts';
import { toByteString } from '../format/escape.ts';
import type { StatsScope } from '../stats.ts';
import { B3, B3_AND_W3C } from './b3-context.ts';
import { otlpSender } from './otlp-exporter.ts';
import { newSpanId, newTraceId } from './random-ids.ts';
import { SpanQueue } from './span-queue.ts';
import type { Propagation } from './trace-context.ts';
import { W3C } from './w3c-context.ts';
import { zipkinSender } from './zipkin-exporter.ts';

export const OPEN_TELEMETRY = 'envoy.config.trace.v3.OpenTelemetryConfig';
export const ZIPKIN = 'envoy.config.trace.v3.ZipkinConfig';

/** Spans that may wait for a Zipkin collector; OpenTelemetry has `max_cache_size`. */
const ZIPKIN_MAX_SPANS = 2048;

/** What a tracer needs of the proxy around it. */
export interface TracerEnv {
  readonly stats: StatsScope;
  readonly calls: Calls;
  readonly node: { readonly id: string; readonly cluster: string; readonly zone?: string };
}

/** A provider of tracing: how contexts travel, and where spans go. */
export interface Tracer {
  readonly kind: 'opentelemetry' | 'zipkin';
  readonly propagation: Propagation;
  readonly spans: SpanQueue;
  /** Traces every request, whatever was decided before. */
  readonly alwaysSamples: boolean;
  /** A server's span takes the id of its client's. */
  readonly sharesSpans: boolean;
  /** The ids of a trace that begins here. */
  newTrace(): { traceId: string; spanId: string };
}

/** @throws for a type that does not exist here */
export function createTracer(provider: TracingProvider, env: TracerEnv): Tracer {
  const { type, value } = provider.typed_config;
  if (type === OPEN_TELEMETRY) return openTelemetry(value as OpenTelemetryConfig, env);
  if (type === ZIPKIN) return zipkin(value as ZipkinConfig, env);
  throw new Error(`tracing provider ${provider.name}: type ${type} is not available`);
}

function openTelemetry(config: OpenTelemetryConfig, env: TracerEnv): Tracer {
  const scope = env.stats.scope('tracing.opentelemetry');
  const { version } = packageInfo();
  const origin = { attributes: resourceOf(config, version), scope: { name: 'outrigger', version } };
  return {
    kind: 'opentelemetry',
    propagation: W3C,
    spans: new SpanQueue({
      send: otlpSender(config, origin, env.calls),
      maxSpans: config.max_cache_size,
      stats: queueStats(scope),
    }),
    alwaysSamples: config.sampler !== undefined,
    sharesSpans: false,
    newTrace: () => ({ traceId: newTraceId(), spanId: newSpanId() }),
  };
}

function zipkin(config: ZipkinConfig, env: TracerEnv): Tracer {
  const scope = env.stats.scope('tracing.zipkin');
  const reports = {
    sent: scope.counter('reports_sent'),
    dropped: scope.counter('reports_dropped'),
    failed: scope.counter('reports_failed'),
    skippedNoCluster: scope.counter('reports_skipped_no_cluster'),
  };
  return {
    kind: 'zipkin',
    propagation: config.trace_context_option === 'USE_B3' ? B3 : B3_AND_W3C,
    spans: new SpanQueue({
      send: zipkinSender(config, env.node.cluster, env.calls, reports),
      maxSpans: ZIPKIN_MAX_SPANS,
      stats: queueStats(scope),
    }),
    alwaysSamples: false,
    sharesSpans: config.shared_span_context,
    // The first span of a trace has the id of the trace, or its lower half.
    newTrace: () => {
      const spanId = newSpanId();
      return { traceId: config.trace_id_128bit ? newSpanId() + spanId : spanId, spanId };
    },
  };
}

function queueStats(scope: StatsScope): SpanQueue['options']['stats'] {
  return {
    spansSent: scope.counter('spans_sent'),
    spansDropped: scope.counter('spans_dropped'),
    timerFlushed: scope.counter('timer_flushed'),
  };
}

/** Attributes of the resource: what detectors find, then who reports. */
function resourceOf(config: OpenTelemetryConfig, version: string): (readonly [string, string])[] {
  const attributes = new Map<string, string>([['service.name', 'unknown_service:outrigger']]);
  for (const { typed_config: detector } of config.resource_detectors) {
    const found = (detector.value as Partial<StaticResourceDetector>).attributes ?? environmentAttributes();
    for (const [name, value] of Object.entries(found)) attributes.set(toByteString(name), toByteString(value));
  }
  if (config.service_name !== '') attributes.set('service.name', toByteString(config.service_name));
  attributes.set('telemetry.sdk.language', 'nodejs').set('telemetry.sdk.name', 'outrigger');
  attributes.set('telemetry.sdk.version', version);
  return [...attributes];
}

/** OTEL_RESOURCE_ATTRIBUTES: `name=value,name=value`; what is not of that form is left out. */
function environmentAttributes(): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of (process.env.OTEL_RESOURCE_ATTRIBUTES ?? '').split(',')) {
    const equals = pair.indexOf('=');
    if (equals > 0) attributes[pair.slice(0, equals).trim()] = pair.slice(equals + 1).trim();
  }
  return attributes;
}
