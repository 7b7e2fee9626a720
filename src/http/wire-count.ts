import type { WireBytes } from '../observe/stream-info.ts';
import type { RequestHead } from './message.ts';

/** What a connection to a client counted of its last exchange, heads and framing included; the header counts apart. */
export interface DownstreamWire {
  readonly received: number;
  readonly sent: number;
  readonly headersReceived: number;
  readonly headersSent: number;
}

/** What a connection to an upstream counted of its last exchange. */
export class UpstreamWire {
  /** The request with head and framing. */
  sent = 0;
  /** Of HTTP/1 the whole head, of HTTP/2 the frames of its headers. */
  headSent = 0;
  /** HTTP/1: the response's head as it came. */
  headReceived = '';
  /** The rest of the response: of HTTP/1 its body with its framing, of HTTP/2 every frame. */
  bodyReceived = 0;
  /** HTTP/2: the frames of its headers. */
  headersReceived = 0;
  isHttp2 = false;

  clear(): void {
    this.sent = 0;
    this.headSent = 0;
    this.headReceived = '';
    this.bodyReceived = 0;
    this.headersReceived = 0;
    this.isHttp2 = false;
  }
}

/** ` `, ` HTTP/1.1` and CRLF around method and target. */
const REQUEST_LINE_REST = 12;
const EMPTY_LINE = 2;

/**
 * Bytes of a stream on the wire. Computed for a log that asks, when the stream is over. Header bytes of HTTP/1 are counted
 * as Envoy does it: those that are sent are the lines, of those that came each line has one byte less.
 */
export function wireBytesOf(request: RequestHead, downstream: DownstreamWire, upstream: UpstreamWire): WireBytes {
  const { headReceived, isHttp2 } = upstream;
  const requestLine = isHttp2 ? 0 : request.method.length + request.path.length + REQUEST_LINE_REST + EMPTY_LINE;
  return {
    downstreamReceived: downstream.received,
    downstreamSent: downstream.sent,
    downstreamHeadersReceived: downstream.headersReceived,
    downstreamHeadersSent: downstream.headersSent,
    upstreamReceived: headReceived.length + upstream.bodyReceived,
    upstreamSent: upstream.sent,
    upstreamHeadersReceived: isHttp2 ? upstream.headersReceived : headerBytes(headReceived),
    upstreamHeadersSent: Math.max(0, upstream.headSent - requestLine),
  };
}

/** The same of an exchange of HTTP/1 with a client. `written` is the response, as far as it went out. */
export function http1Wire(
  head: string,
  bodyBytes: number,
  written: { readonly headBytes: number; readonly sentBytes: number } | undefined,
  statusLineBytes: number,
): DownstreamWire {
  return {
    received: head.length + bodyBytes,
    sent: written?.sentBytes ?? 0,
    headersReceived: headerBytes(head),
    headersSent: written === undefined ? 0 : headerBytesSent(written.headBytes, statusLineBytes),
  };
}

/** Header bytes of an HTTP/1 head that was sent, whose first line has this many. */
export function headerBytesSent(headBytes: number, firstLineBytes: number): number {
  return Math.max(0, headBytes - firstLineBytes - EMPTY_LINE);
}

/** Lines between the first one of a head that came and the empty one, less one byte each. */
export function headerBytes(head: string): number {
  let at = head.indexOf('\n') + 1;
  if (at === 0) return 0;
  let bytes = 0;
  for (let end = head.indexOf('\n', at); end > at + 1; end = head.indexOf('\n', at)) {
    bytes += end - at;
    at = end + 1;
  }
  return bytes;
}
