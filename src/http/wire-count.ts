import type { WireBytes } from '../observe/stream-info.ts';
import type { RequestHead } from './message.ts';

/** What an HTTP/1 connection to a client counted of its last exchange, besides the request's head. */
export interface DownstreamWire {
  /** The request's body with its framing. */
  readonly bodyReceived: number;
  /** The response with head and framing. */
  readonly sent: number;
  readonly headSent: number;
  readonly statusLineSent: number;
}

/** What an HTTP/1 connection to an upstream counted of its last exchange. */
export class UpstreamWire {
  /** The request with head and framing. */
  sent = 0;
  headSent = 0;
  /** The response's head as it came, and its body with its framing. */
  headReceived = '';
  bodyReceived = 0;

  clear(): void {
    this.sent = 0;
    this.headSent = 0;
    this.headReceived = '';
    this.bodyReceived = 0;
  }
}

/** ` `, ` HTTP/1.1` and CRLF around method and target. */
const REQUEST_LINE_REST = 12;
const EMPTY_LINE = 2;

/**
 * Bytes of a stream on the wire. Computed for a log that asks, when the stream is over. Header bytes are counted as Envoy
 * does it: those that are sent are the lines, of those that came each line has one byte less.
 */
export function wireBytesOf(request: RequestHead, downstream: DownstreamWire, upstream: UpstreamWire): WireBytes {
  const requestLine = request.method.length + request.path.length + REQUEST_LINE_REST;
  return {
    downstreamReceived: request.raw.length + downstream.bodyReceived,
    downstreamSent: downstream.sent,
    downstreamHeadersReceived: headerBytes(request.raw),
    downstreamHeadersSent: Math.max(0, downstream.headSent - downstream.statusLineSent - EMPTY_LINE),
    upstreamReceived: upstream.headReceived.length + upstream.bodyReceived,
    upstreamSent: upstream.sent,
    upstreamHeadersReceived: headerBytes(upstream.headReceived),
    upstreamHeadersSent: Math.max(0, upstream.headSent - requestLine - EMPTY_LINE),
  };
}

/** Lines between the first one of a head and the empty one, less one byte each. */
function headerBytes(head: string): number {
  let at = head.indexOf('\n') + 1;
  if (at === 0) return 0;
  let bytes = 0;
  for (let end = head.indexOf('\n', at); end > at + 1; end = head.indexOf('\n', at)) {
    bytes += end - at;
    at = end + 1;
  }
  return bytes;
}
