import { ConnectionManager } from '../http/connection-manager.ts';
import { HookWait } from '../http/hook-wait.ts';
import { BodyReader } from '../http/http1/body-reader.ts';
import { Http1ClientConnection } from '../http/http1/client-connection.ts';
import { MessageWriter } from '../http/http1/message-writer.ts';
import { Http1ServerConnection } from '../http/http1/server-connection.ts';
import { Http2ClientConnection } from '../http/http2/client-connection.ts';
import { Http2ClientStream } from '../http/http2/client-stream.ts';
import { Http2Connection } from '../http/http2/connection.ts';
import { FrameOutput } from '../http/http2/frame-output.ts';
import { FrameReader } from '../http/http2/frame-reader.ts';
import { HeadWriter } from '../http/http2/head-writer.ts';
import { HpackDecoder } from '../http/http2/hpack/decoder.ts';
import { Http2Stream } from '../http/http2/http2-stream.ts';
import { Http2ServerConnection } from '../http/http2/server-connection.ts';
import { Http2ServerStream } from '../http/http2/server-stream.ts';
import type { RouteEntry } from '../http/route/route-entry.ts';
import { Router } from '../http/router.ts';
import { HttpStream } from '../http/stream.ts';
import { ListenerRuntime } from '../listener/listener.ts';
import { BulkReader } from '../network/bulk-reader.ts';
import { HandleConnection } from '../network/handle-connection.ts';
import { StreamConnection } from '../network/stream-connection.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import { TcpSession } from '../network/tcp-session.ts';
import { CoarseTimers } from '../network/timer.ts';
import type { ComponentId } from '../observe/components.ts';
import { TlsConnection } from '../tls/tls-connection.ts';

/** What a method is to the probe, besides its part. */
export interface Seam {
  readonly of: { readonly prototype: object };
  readonly methods: readonly string[];
  /** `write_call` is both sides of a write, told apart by calibration. Undefined leaves the time with the caller's part. */
  readonly part?: ComponentId | 'write_call';
  /** `event`: the event loop calls it; what it does is an event of its own. */
  readonly is?: 'event' | 'read' | 'message' | 'request' | 'route' | 'response' | 'tcp';
}

/**
 * The seams between components: the methods by which one is entered from another. Only the way in is listed; what a
 * method calls of its own component needs no entry, and what it calls of another has one there.
 */
export const SEAMS: readonly Seam[] = [
  // Events beside those that the flush queue encloses.
  { of: ListenerRuntime, methods: ['accept'], is: 'event' },
  { of: CoarseTimers, methods: ['fire'], is: 'event' },
  { of: HookWait, methods: ['settled'], is: 'event' },

  // Bytes that were read: the second parameter says how many.
  { of: Http1ServerConnection, methods: ['onData'], is: 'read' },
  { of: Http1ClientConnection, methods: ['onData'], is: 'read' },
  { of: Http2ServerConnection, methods: ['onData'], is: 'read' },
  { of: Http2ClientConnection, methods: ['onData'], is: 'read' },
  { of: BulkReader, methods: ['forward'], is: 'read' },

  { of: Http1ServerConnection, methods: ['readHead'], part: 'http_parse', is: 'message' },
  { of: Http1ClientConnection, methods: ['readHead'], part: 'http_parse' },
  { of: BodyReader, methods: ['read'], part: 'http_parse' },
  { of: FrameReader, methods: ['read'], part: 'http_parse' },
  // The reader of frames calls the connection, which is where the most of HTTP/2 is done: streams and flow control.
  {
    of: Http2Connection,
    methods: ['onHeaderBlock', 'onDataFrame', 'onDataBytes', 'onDataFrameEnd', 'onEmptyFrame', 'onWindowUpdate'],
    part: 'packet_processing',
  },
  { of: HpackDecoder, methods: ['decode'], part: 'header_codec', is: 'message' },
  { of: Http2ServerStream, methods: ['onFields'], part: 'header_codec' },
  { of: Http2ClientStream, methods: ['onFields'], part: 'header_codec' },

  // Parsers call back into the rest of the proxy.
  {
    of: HttpStream,
    methods: ['onRequestBody', 'onRequestEnd', 'sendLocalReply', 'onResponseBody', 'onResponseEnd'],
    part: 'packet_processing',
  },
  { of: HttpStream, methods: ['complete'], part: 'packet_processing' },
  { of: ConnectionManager, methods: ['takeStream'], part: 'packet_processing' },
  { of: HttpStream, methods: ['onRequestHead'], part: 'packet_processing', is: 'request' },
  // Again where a filter clears the route.
  { of: HttpStream, methods: ['matchRoute'], part: 'routing', is: 'route' },
  { of: Router, methods: ['start', 'body', 'end'], part: 'routing' },
  { of: Router, methods: ['onUpstreamReady', 'onUpstreamReset'], part: 'routing' },
  { of: Router, methods: ['onUpstreamHead', 'onUpstreamBody', 'onUpstreamEnd'], part: 'routing', is: 'response' },
  { of: HttpStream, methods: ['runResponseHooks'], part: 'packet_processing' },

  { of: HttpStream, methods: ['sendResponseHead'], part: 'header_codec' },
  { of: Http1ClientConnection, methods: ['writeHead'], part: 'header_codec' },
  { of: HeadWriter, methods: ['request', 'response', 'trailers'], part: 'header_codec' },

  { of: MessageWriter, methods: ['body', 'finish', 'flush'], part: 'sidecar_write' },
  { of: Http2Stream, methods: ['sendBody'], part: 'sidecar_write' },
  { of: FrameOutput, methods: ['data', 'endStream', 'windowUpdate', 'flushNow'], part: 'sidecar_write' },
  { of: HandleConnection, methods: ['writeCopy', 'writeAround'], part: 'sidecar_write' },
  { of: HandleConnection, methods: ['writeText', 'writeStable'], part: 'write_call' },
  { of: StreamConnection, methods: ['writeText', 'send'], part: 'write_call' },
  { of: TlsConnection, methods: ['writeText', 'writeStable'], part: 'write_call' },

  { of: TcpSession, methods: ['count'], is: 'tcp' },
];

/** What the seams of a request and of a response know of its route. */
export function routeOfStream(stream: HttpStream): RouteEntry | undefined {
  return stream.routeEntry;
}

export function routeOfRouter(router: Router): RouteEntry | undefined {
  return (router as unknown as { stream: HttpStream }).stream.routeEntry;
}

export function proxyOfSession(session: TcpSession): TcpProxy {
  return (session as unknown as { proxy: TcpProxy }).proxy;
}
