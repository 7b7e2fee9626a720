/** What tests ask of a gRPC client and of a gRPC server, in whatever language. Messages are plain bytes: no protobuf. */

export const SERVICE = 'outrigger.test.Echo';

/**
 * The service's methods. What the server does besides is said in the call's metadata:
 * `x-code` and `x-message` end the call with that status, `x-wait` lets it wait until it is cancelled (`silent`: even with
 * its headers),
 * `x-replies` and `x-reply-bytes` tell a server stream's messages, `x-data-bin` and `x-text` come back in headers and trailers.
 */
export const METHODS = ['Unary', 'ClientStream', 'ServerStream', 'Bidi', 'Seen'] as const;
export type Method = (typeof METHODS)[number];

/** Status codes of gRPC that the tests name. */
export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const;

export interface CallSpec {
  readonly method: Method;
  /** Bytes of each message to send. */
  readonly sizes?: readonly number[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** In base64; names end in `-bin`. */
  readonly binary?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
  /** Cancel once so many messages have come, 0 for at once after sending. */
  readonly cancelAfter?: number;
  /** Of Bidi: send the next message when the last one came back. */
  readonly pingPong?: boolean;
  /** As many of these calls at the same time; with `pingPong` all are open before any ends. */
  readonly parallel?: number;
  /** Milliseconds to wait without a call before this one. */
  readonly idleMs?: number;
}

export interface CallResult {
  readonly code: number;
  readonly details: string;
  /** Length of each message that came, and its SHA-1. */
  readonly messages: readonly (readonly [bytes: number, sha: string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
}

export interface GrpcClient extends AsyncDisposable {
  call(spec: CallSpec): Promise<CallResult[]>;
}

/** What a server has seen of its calls. */
export interface Seen {
  readonly calls: number;
  readonly cancelled: number;
  readonly active: number;
  /** Milliseconds that the last call with a deadline had left when it came in. */
  readonly deadlineMs: number;
}

export interface GrpcServer extends AsyncDisposable {
  readonly port: number;
}

/** The content of the n-th message: it differs from call to call, and tells when bytes are lost or mixed up. */
export function messageBytes(size: number, index: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + index * 7 + (i >> 8)) & 0xff;
  return bytes;
}
