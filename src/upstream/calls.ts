import {
  CallError,
  type CallFailure,
  type CallRequest,
  type CallResponse,
  type Calls,
  GrpcError,
  type UnaryOptions,
  type UnaryReceiver,
} from '../filter/calls.ts';
import { frameMessage, readUnaryResponse, statusOfFailure, unaryHead } from '../http/grpc/unary-call.ts';
import { RequestHead } from '../http/message.ts';
import type { Cluster } from './cluster.ts';
import { type CallOwner, OutgoingCall, type OutgoingRequest } from './outgoing-call.ts';

const DEFAULT_MAX_RESPONSE_BYTES = 1024 * 1024;
/** Objects of finished gRPC calls that are kept for the next ones. */
const MAX_SPARES = 64;

const NO_HEAD = new RequestHead();

/** Where the clusters are found; one that a reload replaced is found in its new form. */
export interface ClusterSource {
  get(name: string): Cluster | undefined;
}

/** The calls that one thread's proxy makes of its own accord. */
export class ClusterCalls implements Calls {
  private readonly clusters: ClusterSource;
  private readonly spares: UnaryCall[] = [];
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
        this.ask(clusterName, path, message, options, { onMessage: resolve, onFailure: reject });
      }),
    );
  }

  ask(clusterName: string, path: string, message: Uint8Array, options: UnaryOptions, receiver: UnaryReceiver): void {
    const unary = this.spares.pop() ?? new UnaryCall(this);
    unary.receiver = receiver;
    unary.clusterName = clusterName;
    const { call } = unary;
    const cluster = this.clusters.get(clusterName);
    if (cluster === undefined) {
      unary.onFailure(call, 'unknown_cluster', '');
      return;
    }
    const { signal } = options;
    if (signal?.aborted) {
      unary.onFailure(call, 'cancelled', '');
      return;
    }
    try {
      unary.head = this.unaryHead(cluster, path, options);
    } catch (error) {
      unary.onFailure(call, 'invalid_request', (error as Error).message);
      return;
    }
    unary.body = frameMessage(message);
    unary.timeoutMs = options.timeoutMs;
    unary.maxResponseBytes = options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
    call.begin(cluster, unary, signal === undefined ? unary : new CancellableCall(unary, call, signal));
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

  /** A call that is over, for the next one. */
  keep(unary: UnaryCall): void {
    if (this.spares.length < MAX_SPARES) this.spares.push(unary);
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

/** A gRPC call with one message each way: what is asked, and who hears of the answer. */
class UnaryCall implements CallOwner, OutgoingRequest {
  readonly call = new OutgoingCall();
  readonly isGrpc = true;
  clusterName = '';
  head: RequestHead = NO_HEAD;
  body: Buffer | undefined = undefined;
  timeoutMs = 0;
  maxResponseBytes = 0;
  receiver: UnaryReceiver | undefined = undefined;
  private readonly calls: ClusterCalls;

  constructor(calls: ClusterCalls) {
    this.calls = calls;
  }

  onResponse(call: OutgoingCall): void {
    let message: Buffer;
    try {
      message = readUnaryResponse(call.upstreamHead, call.trailers, call.body);
    } catch (error) {
      this.release()?.onFailure(error as GrpcError);
      return;
    }
    this.release()?.onMessage(message);
  }

  onFailure(_call: OutgoingCall, reason: CallFailure, details: string): void {
    const cause = new CallError(this.clusterName, reason, details);
    this.release()?.onFailure(new GrpcError(statusOfFailure(reason), cause.message, cause));
  }

  /** It may serve the next call, which the receiver of this one may begin. */
  private release(): UnaryReceiver | undefined {
    const { receiver } = this;
    this.receiver = undefined;
    this.body = undefined;
    this.head = NO_HEAD;
    this.calls.keep(this);
    return receiver;
  }
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
