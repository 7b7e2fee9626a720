import type { ResponseFlag } from '../http/response-flags.ts';

/** Go on with the next filter. Returning nothing says the same. */
export interface Continue {
  readonly kind: 'continue';
}

/** End the stream (or the connection, for a network filter) without an answer. */
export interface Stop {
  readonly kind: 'stop';
  readonly flag?: ResponseFlag;
  /** Who denied and by which rule; becomes `response_code_details` / `connection_termination_details`. */
  readonly details: string;
}

/** Answer the request here; no later filter sees it. Immutable: make it once at load where the answer is always the same. */
export interface Reply {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Response flag for logs and statistics, such as `RL`. */
  readonly flag: ResponseFlag | undefined;
  /** Who denied and by which rule; becomes `response_code_details`. */
  readonly details: string;
  /** gRPC status for gRPC requests; undefined maps the HTTP status. */
  readonly grpcStatus: number | undefined;
}

/** Collect the whole body, at most `maxBytes` (413 above), before the stream goes on; the body hook then sees it in one piece. */
export interface BufferBody {
  readonly kind: 'buffer';
  readonly maxBytes: number;
}

/** Answer a gRPC call with one message and the status OK; no later filter sees it. */
export interface MessageReply {
  readonly kind: 'message';
  readonly message: Uint8Array;
}

export type Verdict = Continue | Stop | Reply | MessageReply | BufferBody;

export const CONTINUE: Continue = Object.freeze({ kind: 'continue' });

/** Options of a local reply. */
export interface ReplyOptions {
  body?: string;
  headers?: Record<string, string>;
  flag?: ResponseFlag;
  details?: string;
  grpcStatus?: number;
}

/**
 * A local reply.
 *
 * @example return reply(403, { body: 'no key', details: 'api_key_missing' });
 */
export function reply(status: number, options: ReplyOptions = {}): Reply {
  return Object.freeze({
    kind: 'reply',
    status,
    body: options.body ?? '',
    headers: options.headers ?? {},
    flag: options.flag,
    details: options.details ?? 'direct_response',
    grpcStatus: options.grpcStatus,
  });
}

/** Answers a gRPC call with one message. */
export function replyMessage(message: Uint8Array): MessageReply {
  return { kind: 'message', message };
}

/** Ends the stream without an answer, for the reason given. */
export function stop(details: string, flag?: ResponseFlag): Stop {
  return Object.freeze(flag === undefined ? { kind: 'stop', details } : { kind: 'stop', details, flag });
}

/** Asks for the whole body before the stream goes on. */
export function bufferBody(maxBytes: number): BufferBody {
  return Object.freeze({ kind: 'buffer', maxBytes });
}
