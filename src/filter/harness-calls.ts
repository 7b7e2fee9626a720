import {
  CallError,
  type CallRequest,
  type CallResponse,
  type Calls,
  GrpcError,
  type UnaryOptions,
  type UnaryReceiver,
} from './calls.ts';

/** How a scripted server answers a request. */
export interface ScriptedResponse {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly trailers?: Readonly<Record<string, string>>;
}

/** What the calls of a filter under test lead to. What a script throws, the call rejects with. */
export interface CallScript {
  request?(cluster: string, call: CallRequest): ScriptedResponse | Promise<ScriptedResponse>;
  unary?(cluster: string, path: string, message: Uint8Array, options: UnaryOptions): Uint8Array | Promise<Uint8Array>;
}

/** Calls of a filter under test. Without a script for them there is no such cluster. */
export class ScriptedCalls implements Calls {
  readonly #script: CallScript;
  /** Paths of the calls so far. */
  readonly paths: string[] = [];

  constructor(script: CallScript = {}) {
    this.#script = script;
  }

  request(cluster: string, call: CallRequest): Promise<CallResponse> {
    this.paths.push(call.path);
    return quiet(this.#request(cluster, call));
  }

  async #request(cluster: string, call: CallRequest): Promise<CallResponse> {
    if (this.#script.request === undefined) throw new CallError(cluster, 'unknown_cluster', '');
    const { status = 200, headers = {}, body = '', trailers = {} } = await this.#script.request(cluster, call);
    return {
      status,
      body: Buffer.from(body as Uint8Array),
      header: (name) => headers[name],
      trailer: (name) => trailers[name],
    };
  }

  unary(cluster: string, path: string, message: Uint8Array, options: UnaryOptions): Promise<Buffer> {
    this.paths.push(path);
    return quiet(this.#unary(cluster, path, message, options));
  }

  ask(cluster: string, path: string, message: Uint8Array, options: UnaryOptions, receiver: UnaryReceiver): void {
    this.unary(cluster, path, message, options).then(
      (answer) => receiver.onMessage(answer),
      (error) => receiver.onFailure(error instanceof GrpcError ? error : new GrpcError(2, String(error))),
    );
  }

  async #unary(cluster: string, path: string, message: Uint8Array, options: UnaryOptions): Promise<Buffer> {
    if (this.#script.unary === undefined) {
      const cause = new CallError(cluster, 'unknown_cluster', '');
      throw new GrpcError(14, cause.message, cause);
    }
    return Buffer.from(await this.#script.unary(cluster, path, message, options));
  }
}

/** As with real calls, nobody has to look at the promise. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
