import type { UpstreamCodec } from '../../http/codec.ts';
import { isGrpcContentType } from '../../http/grpc/content-type.ts';
import { Http1ClientConnection } from '../../http/http1/client-connection.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import { nowMs } from '../../network/clock.ts';
import type { StreamInfo } from '../stream-info.ts';
import type { HttpTracing, RouteTraceRules } from './http-tracing.ts';
import { newSpanId } from './random-ids.ts';
import { SPAN_KIND, Span } from './span.ts';
import { addEvents, addTryEvents, tagCall, tagCallStatus, tagOutcome, tagRequest } from './span-tags.ts';
import type { OutgoingContext, ParentContext } from './trace-context.ts';
import type { Tracer } from './tracer.ts';

/** The part of a trace that one stream is: the span of its request, and those of its tries where they have some. */
export class StreamTrace {
  readonly traceId: string;
  /** Of the request's span, whether or not it is reported. */
  readonly spanId: string;
  private readonly tracing: HttpTracing;
  private readonly tracer: Tracer;
  private readonly rules: RouteTraceRules | undefined;
  private readonly parentId: string;
  private readonly traceState: string;
  private readonly form: OutgoingContext['form'];
  private readonly sampled: boolean;
  private readonly span: Span | undefined;
  /** The operation that the next proxy, or the one before, shall call its span; '' for none. */
  private operation = '';
  /** The try that runs: its id, and its span where it is reported. */
  private tryId = '';
  private trySpan: Span | undefined = undefined;
  private tryStatus = 0;
  private tryProtocol = '-';
  private tryTxBeginMs = 0;
  private tryRxBeginMs = 0;

  constructor(
    tracing: HttpTracing,
    tracer: Tracer,
    info: StreamInfo,
    request: RequestHead,
    parent: ParentContext | undefined,
    isWanted: boolean,
    rules: RouteTraceRules | undefined,
  ) {
    this.tracing = tracing;
    this.tracer = tracer;
    this.rules = rules;
    const joins = tracer.sharesSpans && tracing.kind === SPAN_KIND.SERVER;
    if (parent === undefined || parent.traceId === '') {
      const { traceId, spanId } = tracer.newTrace();
      this.traceId = traceId;
      this.spanId = spanId;
      this.parentId = '';
    } else {
      this.traceId = parent.traceId;
      this.spanId = joins ? parent.spanId : newSpanId();
      this.parentId = joins ? parent.parentId : parent.spanId;
    }
    this.traceState = parent?.traceState ?? '';
    this.form = parent?.form;
    this.sampled = tracer.alwaysSamples || (parent?.sampled ?? isWanted);
    this.span = this.sampled ? this.newSpan(info, request, joins, this.parentId !== '') : undefined;
    this.decorate(request);
  }

  private newSpan(info: StreamInfo, request: RequestHead, isShared: boolean, isParentRemote: boolean): Span {
    const { tracing } = this;
    const direction = tracing.isEgress ? `egress ${request.authority}` : 'ingress';
    const span = new Span({
      traceId: this.traceId,
      spanId: this.spanId,
      parentId: this.parentId,
      traceState: this.traceState,
      kind: tracing.kind,
      isParentRemote,
      startEpochMs: info.startTimeEpochMs,
      name: this.tracer.kind === 'zipkin' ? request.authority : direction,
    });
    span.isShared = isShared;
    span.tag('node_id', tracing.nodeId);
    span.tag('zone', tracing.zone);
    return span;
  }

  /** The route's name for the operation, or the one that the client's proxy sent, which is better. */
  private decorate(request: RequestHead): void {
    // A format of the operation takes a decorator's place altogether, as in Envoy.
    const decorator = this.tracing.formatsOperation(this.rules) ? undefined : this.rules?.decorator;
    if (decorator !== undefined) {
      if (this.span !== undefined) this.span.name = decorator.operation;
      if (decorator.propagate) this.operation = decorator.operation;
    }
    if (this.tracing.isEgress) {
      if (this.operation !== '') request.set('x-envoy-decorator-operation', this.operation);
      return;
    }
    if (!request.hasEnvoyHeaders) return;
    const told = request.get('x-envoy-decorator-operation');
    if (told === undefined) return;
    if (told !== '') {
      if (this.span !== undefined) this.span.name = told;
      this.operation = '';
    }
    request.remove('x-envoy-decorator-operation');
  }

  /** A response is about to leave: the operation's name travels back with it. */
  onResponseHead(head: ResponseHead): void {
    if (!this.tracing.isEgress) {
      if (this.operation !== '') head.set('x-envoy-decorator-operation', this.operation);
      return;
    }
    const told = head.get('x-envoy-decorator-operation');
    if (told === undefined) return;
    if (told !== '' && this.span !== undefined) this.span.name = told;
    head.remove('x-envoy-decorator-operation');
  }

  /** The router has chosen an endpoint. */
  beginTry(info: StreamInfo): void {
    if (!this.tracing.spawnsTries) return;
    this.tryId = newSpanId();
    this.tryStatus = 0;
    this.tryProtocol = '-';
    this.tryTxBeginMs = 0;
    this.tryRxBeginMs = 0;
    if (!this.sampled) return;
    const span = new Span({
      traceId: this.traceId,
      spanId: this.tryId,
      parentId: this.spanId,
      traceState: this.traceState,
      kind: SPAN_KIND.CLIENT,
      isParentRemote: false,
      startEpochMs: performance.timeOrigin + nowMs(),
      name: `router ${info.upstreamCluster} egress`,
    });
    if (info.upstreamAttemptCount > 1) span.tag('retry.count', String(info.upstreamAttemptCount - 1));
    this.trySpan = span;
  }

  /** The request is about to be written. */
  inject(request: RequestHead, codec: UpstreamCodec): void {
    if (this.trySpan !== undefined) {
      this.tryProtocol = codec instanceof Http1ClientConnection ? 'HTTP/1.1' : 'HTTP/2';
      this.tryTxBeginMs = nowMs();
    }
    if (!this.tracing.propagates) return;
    const ofTry = this.tryId !== '';
    this.tracer.propagation.inject(request, {
      traceId: this.traceId,
      spanId: ofTry ? this.tryId : this.spanId,
      parentId: ofTry ? this.spanId : this.parentId,
      sampled: this.sampled,
      traceState: this.traceState,
      form: this.form,
    });
  }

  onTryStatus(status: number): void {
    this.tryStatus = status;
    this.tryRxBeginMs = nowMs();
  }

  /** The proxy gave the try up. */
  cancelTry(info: StreamInfo): void {
    if (this.trySpan === undefined) return;
    this.trySpan.tag('canceled', 'true');
    this.endTry(info, 0);
  }

  /** The upstream, or the way to it, failed. */
  failTry(info: StreamInfo, reason: string, flag: number): void {
    if (this.trySpan === undefined) return;
    this.trySpan.tag('error', 'true');
    this.trySpan.tag('error.reason', reason);
    this.endTry(info, flag);
  }

  endTry(info: StreamInfo, flag: number): void {
    const span = this.trySpan;
    if (span === undefined) return;
    this.trySpan = undefined;
    span.tag('http.protocol', this.tryProtocol);
    if (info.upstreamHost !== '') {
      span.tag('upstream_address', info.upstreamHost);
      span.tag('peer.address', info.upstreamHost);
    }
    if (isGrpcContentType(info.request?.get('content-type') ?? '')) tagCallStatus(span, info);
    tagOutcome(span, info.upstreamCluster, this.tryStatus, flag);
    if (this.tracing.isVerbose) addTryEvents(span, info, this.tryTxBeginMs, this.tryRxBeginMs);
    this.tracing.complete(span, info, this.rules, true);
    span.endEpochMs = performance.timeOrigin + nowMs();
    this.tracer.spans.add(span);
  }

  /** The stream is over: its span is reported. */
  finish(info: StreamInfo): void {
    this.cancelTry(info);
    const { span } = this;
    const { request } = info;
    if (span === undefined || request === undefined) return;
    const isCall = isGrpcContentType(request.get('content-type') ?? '');
    tagRequest(span, info, request, this.tracing.maxPathLength);
    if (isCall) tagCall(span, request);
    span.tag('request_size', String(info.bytesReceived));
    span.tag('response_size', String(info.bytesSent));
    if (isCall) tagCallStatus(span, info);
    tagOutcome(span, info.upstreamCluster, info.responseCode, info.responseFlags);
    if (this.tracing.isVerbose) addEvents(span, info);
    this.tracing.complete(span, info, this.rules, false);
    span.endEpochMs = performance.timeOrigin + info.endMs;
    this.tracer.spans.add(span);
  }
}
