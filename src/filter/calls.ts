import type { ResponseFlag } from '../http/response-flags.ts';

/** Headers of an outgoing call: lower-case names and their values. */
export type CallHeaders = readonly (readonly [name: string, value: string])[];

/** A request that the proxy makes of its own accord. */
export interface CallRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** The cluster's name by default. */
  readonly authority?: string;
  readonly headers?: CallHeaders;
  /** Not copied before it is sent: leave it alone until the promise settles. */
  readonly body?: Uint8Array;
  /** From the call until the response is complete, a connection that must be opened first included. */
  readonly timeoutMs: number;
  /** Longest body of a response, 1 MiB by default; a longer one rejects. */
  readonly maxResponseBytes?: number;
  /** Ends the call when it is aborted. */
  readonly signal?: AbortSignal;
}

export interface CallResponse {
  readonly status: number;
  readonly body: Buffer;
  /** By lower-case name; the values of a repeated one joined by a comma. */
  header(name: string): string | undefined;
  trailer(name: string): string | undefined;
}

export interface UnaryOptions {
  /** As for requests; the server is told by `grpc-timeout`. */
  readonly timeoutMs: number;
  /** The cluster's name by default. */
  readonly authority?: string;
  readonly metadata?: CallHeaders;
  /** Longest answer, 1 MiB by default. */
  readonly maxResponseBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * Calls that the proxy makes of its own accord, over a cluster's own pools: its protocol, TLS, balancer, circuit
 * breakers and statistics. Nothing here throws; a promise that nobody looks at may reject without harm.
 */
export interface Calls {
  /** One request and its whole response. Rejects with a CallError. */
  request(cluster: string, call: CallRequest): Promise<CallResponse>;
  /**
   * One gRPC call with one message each way, over a cluster that speaks HTTP/2. `path` is `/package.Service/Method`.
   * Rejects with a GrpcError for every status but OK; for a call that failed on its way, its cause is the CallError.
   */
  unary(cluster: string, path: string, message: Uint8Array, options: UnaryOptions): Promise<Buffer>;
  /**
   * The same for calls that each request waits for: the receiver is told within the event that brings the answer, perhaps
   * before this returns, and nothing else is allocated.
   */
  ask(cluster: string, path: string, message: Uint8Array, options: UnaryOptions, receiver: UnaryReceiver): void;
}

/** Who hears how a gRPC call ended: one of the two, once. */
export interface UnaryReceiver {
  /** The answer. It is the receiver's to keep. */
  onMessage(message: Buffer): void;
  onFailure(error: GrpcError): void;
}

/** Why a call has no response. */
export type CallFailure =
  | 'unknown_cluster'
  | 'no_healthy_upstream'
  | 'invalid_request'
  | 'timeout'
  | 'cancelled'
  | 'response_too_large'
  | 'connection_failure'
  | 'connection_timeout'
  | 'connection_termination'
  | 'overflow'
  | 'remote_reset'
  | 'remote_refused'
  | 'protocol_error'
  | 'local_reset';

const FLAGS: Readonly<Record<CallFailure, ResponseFlag | undefined>> = {
  unknown_cluster: 'NC',
  no_healthy_upstream: 'UH',
  invalid_request: undefined,
  timeout: 'UT',
  cancelled: undefined,
  response_too_large: undefined,
  connection_failure: 'UF',
  connection_timeout: 'UF',
  connection_termination: 'UC',
  overflow: 'UO',
  remote_reset: 'UR',
  remote_refused: 'UR',
  protocol_error: 'UPE',
  local_reset: 'LR',
};

/** A call that ended without a response. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly reason: CallFailure;
  /** The response flag for a request that fails with this call; undefined where Envoy has none. */
  readonly flag: ResponseFlag | undefined;

  /** @param details what is known besides, '' for nothing */
  constructor(cluster: string, reason: CallFailure, details: string) {
    const text = `cluster ${cluster}: ${reason.replaceAll('_', ' ')}`;
    super(details === '' ? text : `${text}: ${details}`);
    this.reason = reason;
    this.flag = FLAGS[reason];
  }
}

/** A call that ended with a status other than OK. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  /** Number of the status, such as 14 for UNAVAILABLE. */
  readonly status: number;

  constructor(status: number, message: string, cause?: Error) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
  }
}
