import type { TlsInfo } from '../observe/stream-info.ts';
import type { HeaderMap } from './headers.ts';
import type { RequestHead, ResponseHead } from './message.ts';
import type { DownstreamWire } from './wire-count.ts';

/**
 * What a stream asks of the connection that its request came on. One contract for every protocol version.
 * Calls after `finish` or `resetStream` are ignored.
 */
export interface DownstreamCodec {
  /** An interim response (1xx); `headers` may be undefined. */
  writeInterim(status: number, headers: HeaderMap | undefined): void;
  /** `contentLength` is that of the body to come, or -1 when it is not known. */
  writeHead(response: ResponseHead, endStream: boolean, contentLength: number): void;
  /** `stable` memory stays untouched until `onDownstreamDrain`. */
  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void;
  finish(trailers: HeaderMap | undefined): void;
  /** Ends the stream without (the rest of) a response. */
  resetStream(): void;
  /** The connection serves no other request. */
  closeAfterResponse(): void;
  /** Flow control of the request's body. Idempotent. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** After a 101 or a 2xx to CONNECT: bodies are opaque bytes both ways. */
  switchToTunnel(): void;
  readonly congested: boolean;
  /** What was counted of the last exchange; absent where nothing is. */
  readonly wire?: DownstreamWire;
}

/** What a codec tells the stream of one request. `onRequestHead` comes first, then bodies, then exactly one of end and close. */
export interface DownstreamEvents {
  /** `request` is filled in; `endStream` when no body follows. */
  onRequestHead(endStream: boolean): void;
  onRequestBody(buffer: Buffer, start: number, end: number, stable: boolean): void;
  onRequestEnd(trailers: HeaderMap | undefined): void;
  /** The client went away, or broke the protocol (`details`) after the head. */
  onDownstreamReset(details: string, protocolError: boolean): void;
  /** The peer took everything: the response may go on. */
  onDownstreamDrain(): void;
}

/** What the router asks of an upstream connection for one request. */
export interface UpstreamCodec {
  /** `contentLength` is that of the body to come, -1 when unknown. */
  writeHead(request: RequestHead, endStream: boolean, contentLength: number): void;
  writeBody(buffer: Buffer, start: number, end: number, stable: boolean): void;
  finish(trailers: HeaderMap | undefined): void;
  /** Gives the exchange up; the connection is closed where the protocol has no stream reset. */
  resetStream(): void;
  pauseResponse(): void;
  resumeResponse(): void;
  /** After a 101 or a 2xx to CONNECT. */
  switchToTunnel(): void;
  readonly congested: boolean;
  /** `ip:port` of our side. */
  readonly localAddress: string;
  /** Undefined without TLS. */
  readonly tls?: TlsInfo | undefined;
}

/** Why an upstream exchange ended before its response did. */
export type UpstreamResetReason =
  | 'connection_failure'
  | 'connection_timeout'
  | 'connection_termination'
  | 'overflow'
  /** The server reset the stream. */
  | 'remote_reset'
  /** The server did not process the request: it may go elsewhere, whatever it is. */
  | 'remote_refused'
  | 'protocol_error'
  | 'local_reset';

/** What an upstream connection tells the router about one exchange. */
export interface UpstreamEvents {
  /** Where the codec puts the response's head. */
  readonly upstreamHead: ResponseHead;
  /** Where it puts the trailers, emptied before. */
  readonly upstreamTrailers: HeaderMap;
  /** The exchange has its connection; the request may be written. */
  onUpstreamReady(codec: UpstreamCodec, reused: boolean): void;
  onUpstreamInterim(response: ResponseHead): void;
  onUpstreamHead(response: ResponseHead, endStream: boolean, contentLength: number): void;
  onUpstreamBody(buffer: Buffer, start: number, end: number, stable: boolean): void;
  onUpstreamEnd(trailers: HeaderMap | undefined): void;
  /** No (complete) response will come. `anyByte` tells whether a part of it came. */
  onUpstreamReset(reason: UpstreamResetReason, failure: string, anyByte: boolean): void;
  onUpstreamDrain(): void;
  /** The kernel did not take everything: hold the request's body until `onUpstreamDrain`. */
  onUpstreamCongested(): void;
}
