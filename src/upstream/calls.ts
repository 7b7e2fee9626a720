import {
  CallError,
  type CallFailure,
  type CallRequest,
  type CallResponse,
  type Calls,
  GrpcError,
  type UnaryOptions,
} from '../filter/calls.ts';
import { frameMessage, readUnaryResponse, statusOfFailure, unaryHead } from '../http/grpc/unary-call.ts';
import { RequestHead } from '../http/message.ts';
import type { Cluster } from './cluster.ts';
import { type CallOwner, OutgoingCall, type OutgoingRequest } from './outgoing-call.ts';

const DEFAULT_MAX_RESPONSE_BYTES = 1024 * 1024;
/** Objects of finished gRPC calls that are kept for the next ones. */
const MAX_SPARES = 64;

/** Where the clusters are found; one that a reload replaced is found in its new form. */
export interface ClusterSource {
  get(name: string): Cluster | undefined;
}

/** The calls that one thread's proxy makes of its own accord. */
export class ClusterCalls implements Calls {
  private readonly clusters: ClusterSource;
  private readonly spares: OutgoingCall[] = [];
  private readonly heads = new WeakMap<Cluster, Map<string, UnaryHead>>();

  constructor(clusters: ClusterSource) {
    this.clusters = clusters;
  }

  request(clusterName: string, call: CallRequest): Promise<CallResponse> {
    return handled(
      new Promise((resolve, reject) => {
        const owner: CallOwner = {
          onResponse: (done) => resolve(new CompleteResponse(done)),
          onFailure: (_, reason, details) => reject(new CallError(clusterName, reason, details)),
        };
        this.begin(clusterName, owner, new OutgoingCall(), call.signal, () => plainRequest(clusterName, call));
      }),
    );
  }

  unary(clusterName: string, path: string, message: Uint8Array, options: UnaryOptions): Promise<Buffer> {
    return handled(
      new Promise((resolve, reject) => {
        const owner: CallOwner = {
          onResponse: (done) => {
            try {
              resolve(readUnaryResponse(done.upstreamHead, done.trailers, done.body));
            } catch (error) {
              reject(error);
            }
            this.keep(done);
          },
          onFailure: (done, reason, details) => {
            const cause = new CallError(clusterName, reason, details);
            reject(new GrpcError(statusOfFailure(reason), cause.message, cause));
            this.keep(done);
          },
        };
        const call = this.spares.pop() ?? new OutgoingCall();
        this.begin(clusterName, owner, call, options.signal, (cluster) => ({
          head: this.unaryHead(cluster, path, options),
          body: frameMessage(message),
          timeoutMs: options.timeoutMs,
          maxResponseBytes: options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
          isGrpc: true,
        }));
      }),
    );
  }

  private begin(
    clusterName: string,
    owner: CallOwner,
    call: OutgoingCall,
    signal: AbortSignal | undefined,
    requestFor: (cluster: Cluster) => OutgoingRequest,
  ): void {
    const cluster = this.clusters.get(clusterName);
    if (cluster === undefined) {
      owner.onFailure(call, 'unknown_cluster', '');
      return;
    }
    if (signal?.aborted) {
      owner.onFailure(call, 'cancelled', '');
      return;
    }
    let request: OutgoingRequest;
    try {
      request = requestFor(cluster);
    } catch (error) {
      owner.onFailure(call, 'invalid_request', (error as Error).message);
      return;
    }
    call.begin(cluster, request, signal === undefined ? owner : new CancellableCall(owner, call, signal));
  }

  private keep(call: OutgoingCall): void {
    if (this.spares.length < MAX_SPARES) this.spares.push(call);
  }

  /** The head for calls of a method; the last one without metadata is kept for the next call. */
  private unaryHead(cluster: Cluster, path: string, options: UnaryOptions): RequestHead {
    const authority = options.authority ?? cluster.name;
    if (options.metadata !== undefined) return unaryHead(path, authority, options.timeoutMs, options.metadata);
    let byPath = this.heads.get(cluster);
    if (byPath === undefined) {
      byPath = new Map();
      this.heads.set(cluster, byPath);
    }
    const known = byPath.get(path);
    if (known?.timeoutMs === options.timeoutMs && known.head.authority === authority) return known.head;
    const head = unaryHead(path, authority, options.timeoutMs, undefined);
    byPath.set(path, { head, timeoutMs: options.timeoutMs });
    return head;
  }
}

interface UnaryHead {
  readonly head: RequestHead;
  readonly timeoutMs: number;
}

/** Stands between a call and its owner while a signal may end it. */
class CancellableCall implements CallOwner {
  private readonly owner: CallOwner;
  private readonly signal: AbortSignal;
  private readonly onAbort: () => void;

  constructor(owner: CallOwner, call: OutgoingCall, signal: AbortSignal) {
    this.owner = owner;
    this.signal = signal;
    this.onAbort = () => call.cancel();
    signal.addEventListener('abort', this.onAbort);
  }

  onResponse(call: OutgoingCall): void {
    this.signal.removeEventListener('abort', this.onAbort);
    this.owner.onResponse(call);
  }

  onFailure(call: OutgoingCall, reason: CallFailure, details: string): void {
    this.signal.removeEventListener('abort', this.onAbort);
    this.owner.onFailure(call, reason, details);
  }
}

/** A response with its whole body. It keeps the call's object, which is not used again. */
class CompleteResponse implements CallResponse {
  readonly status: number;
  readonly body: Buffer;
  private readonly call: OutgoingCall;

  constructor(call: OutgoingCall) {
    this.status = call.upstreamHead.status;
    this.body = call.body;
    this.call = call;
  }

  header(name: string): string | undefined {
    return this.call.upstreamHead.get(name);
  }

  trailer(name: string): string | undefined {
    return this.call.trailers?.get(name);
  }
}

function plainRequest(clusterName: string, call: CallRequest): OutgoingRequest {
  const head = new RequestHead();
  head.method = call.method;
  head.path = call.path;
  head.authority = call.authority ?? clusterName;
  for (const [name, value] of call.headers ?? []) head.add(name, value);
  const { body } = call;
  return {
    head,
    body: body === undefined ? undefined : Buffer.from(body.buffer, body.byteOffset, body.byteLength),
    timeoutMs: call.timeoutMs,
    maxResponseBytes: call.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES,
    isGrpc: false,
  };
}

/** The same promise, whose rejection ends no process when nobody looks at it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}
