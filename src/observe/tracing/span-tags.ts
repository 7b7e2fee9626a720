import type { RequestHead } from '../../http/message.ts';
import { formatFlags } from '../../http/response-flags.ts';
import type { StreamInfo } from '../stream-info.ts';
import type { Span } from './span.ts';

/** The tags that Envoy gives to spans (source/common/tracing/http_tracer_impl.cc), in its order. */

/** gRPC status codes that Envoy tags as errors: those of servers, and RESOURCE_EXHAUSTED. */
const ERRORS: ReadonlySet<string> = new Set(['2', '4', '8', '12', '13', '14', '15']);

/** Tags of the span of a request as it came. */
export function tagRequest(span: Span, info: StreamInfo, request: RequestHead, maxPathLength: number): void {
  tagHeader(span, 'guid:x-request-id', request.get('x-request-id'));
  span.tag('http.url', originalUrl(request, maxPathLength));
  span.tag('http.method', request.method);
  span.tag('downstream_cluster', request.get('x-envoy-downstream-service-cluster') || '-');
  span.tag('user_agent', request.get('user-agent') || '-');
  span.tag('http.protocol', request.protocol);
  span.tag('peer.address', info.connection.remoteAddress);
  tagHeader(span, 'guid:x-client-trace-id', request.get('x-client-trace-id'));
}

/** What a gRPC call asked for. */
export function tagCall(span: Span, request: RequestHead): void {
  span.tag('grpc.path', request.path);
  span.tag('grpc.authority', request.authority);
  tagHeader(span, 'grpc.content_type', request.get('content-type'));
  tagHeader(span, 'grpc.timeout', request.get('grpc-timeout'));
}

/** What became of a gRPC call. */
export function tagCallStatus(span: Span, info: StreamInfo): void {
  const status = info.responseTrailers?.get('grpc-status') ?? info.response?.get('grpc-status');
  if (status === undefined) return;
  span.tagCallStatus(status);
  tagHeader(span, 'grpc.message', info.responseTrailers?.get('grpc-message') ?? info.response?.get('grpc-message'));
  if (ERRORS.has(status)) span.tag('error', 'true');
}

/** What spans of requests and of tries have in common; `code` is 0 where no response came. */
export function tagOutcome(span: Span, cluster: string, code: number, flags: number): void {
  span.tag('component', 'proxy');
  if (cluster !== '') {
    span.tag('upstream_cluster', cluster);
    span.tag('upstream_cluster.name', cluster);
  }
  span.tagStatus(code);
  span.tag('response_flags', formatFlags(flags));
  if (code === 0 || code >= 500) span.tag('error', 'true');
}

function tagHeader(span: Span, name: string, value: string | undefined): void {
  if (value !== undefined) span.tag(name, value);
}

/** The URL that the client asked for, before rewrites; its path is cut. */
function originalUrl(request: RequestHead, maxPathLength: number): string {
  const path = request.get('x-envoy-original-path') ?? request.path;
  const scheme = request.get('x-forwarded-proto') ?? request.scheme;
  return `${scheme}://${request.authority}${path.substring(0, maxPathLength)}`;
}

/** The stations of a request that `verbose` lists, with the times at which it passed them. */
const EVENTS: readonly (readonly [name: string, at: (info: StreamInfo) => number])[] = [
  ['last_downstream_rx_byte_received', (info) => info.requestEndMs],
  ['first_upstream_tx_byte_sent', (info) => info.upstreamTxBeginMs],
  ['last_upstream_tx_byte_sent', (info) => info.upstreamTxEndMs],
  ['first_upstream_rx_byte_received', (info) => info.upstreamRxBeginMs],
  ['last_upstream_rx_byte_received', (info) => info.upstreamRxEndMs],
  ['first_downstream_tx_byte_sent', (info) => info.downstreamTxBeginMs],
  ['last_downstream_tx_byte_sent', (info) => info.downstreamTxEndMs],
];

/** Adds what happened when. */
export function addEvents(span: Span, info: StreamInfo): void {
  for (const [name, at] of EVENTS) addEvent(span, name, at(info));
}

/** The same for a try: what passed between the proxy and the upstream. */
export function addTryEvents(span: Span, info: StreamInfo, txBeginMs: number, rxBeginMs: number): void {
  addEvent(span, 'first_upstream_tx_byte_sent', txBeginMs);
  addEvent(span, 'last_upstream_tx_byte_sent', txBeginMs === 0 ? 0 : info.upstreamTxEndMs);
  addEvent(span, 'first_upstream_rx_byte_received', rxBeginMs);
  addEvent(span, 'last_upstream_rx_byte_received', info.upstreamRxEndMs);
}

function addEvent(span: Span, name: string, atMs: number): void {
  if (atMs > 0) span.event(name, performance.timeOrigin + atMs);
}
