/**
 * Runs one HTTP filter without a proxy around it, with the semantics of the filter chain: for the filter's own tests
 * (`import { testFilter } from 'outrigger/testing'`) and for `outrigger filter test`.
 */
import { HeaderMap } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { FLAG, formatFlags } from '../http/response-flags.ts';

export type { CallScript, ScriptedResponse } from './harness-calls.ts';
export { type NetworkOutcome, type TestConnection, testNetworkFilter } from './harness-network.ts';

import type { CallScript } from './harness-calls.ts';
import { TestEnv, validated } from './harness-env.ts';
import { TestStream } from './harness-stream.ts';
import type { BodyHookResult, HookResult, HttpFilterDefinition, HttpFilterHooks, RouteView } from './http.ts';
import { hooksProblem } from './loader-check.ts';
import { PendingVerdict } from './pending-verdict.ts';
import { type Reply, reply, type Verdict } from './verdict.ts';

/** Header names in lower case; a list is a repeated header. */
export type TestHeaders = Readonly<Record<string, string | readonly string[]>>;
/** One chunk, or one per entry. */
export type TestBody = string | Uint8Array | readonly (string | Uint8Array)[];

export interface TestRequest {
  /** Default GET. */
  readonly method?: string;
  /** Default `/`. */
  readonly path?: string;
  /** Default `app.test`. */
  readonly authority?: string;
  readonly scheme?: 'http' | 'https';
  readonly headers?: TestHeaders;
  readonly body?: TestBody;
  readonly trailers?: TestHeaders;
  /** A WebSocket or CONNECT. */
  readonly upgrade?: boolean;
  /** Default 127.0.0.1. */
  readonly remoteAddress?: string;
  readonly route?: Partial<RouteView>;
  /** What earlier filters left: `{ namespace: { key: value } }`. */
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface TestResponse {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: TestHeaders;
  readonly body?: TestBody;
  readonly trailers?: TestHeaders;
}

/** A request as the app got it. */
export interface ForwardedRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string>>;
}

/** What became of one request. */
export interface TestOutcome {
  /** forwarded: the app answered; replied: the filter did; stopped: nobody did. */
  readonly verdict: 'forwarded' | 'replied' | 'stopped';
  /** Why, for what was not forwarded: `response_code_details`. */
  readonly details: string;
  /** Undefined when the app never saw it. */
  readonly forwarded: ForwardedRequest | undefined;
  /** 0 when nobody answered. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, string>>;
  /** Response flags as the access log prints them, `-` for none. */
  readonly flags: string;
  readonly routeCacheCleared: boolean;
  /** What a hook threw; the filter's `onError` decided what became of the request. */
  readonly errors: readonly unknown[];
  /** Time in each hook that ran, milliseconds, promises included. */
  readonly hookMs: Readonly<Record<string, number>>;
  metadata(namespace: string, key: string): unknown;
  filterState(key: string): unknown;
}

export interface TestFilterOptions {
  /** As a configuration file would give it: the filter's schema is applied. */
  readonly config?: unknown;
  /** Overrides of routes, the least specific first. */
  readonly routeConfigs?: readonly unknown[];
  /** How the app answers; by default 200 with the body of the request. */
  readonly app?: TestResponse | ((request: ForwardedRequest) => TestResponse | Promise<TestResponse>);
  /** What the filter's own calls lead to; without it there are no clusters. */
  readonly calls?: CallScript;
}

/**
 * Configures a filter for tests.
 *
 * @throws Error when the configuration does not fit the filter's schema, or `create` throws.
 * @example
 * const stamp = await testFilter(filter, { config: { header: 'x-id' } });
 * const { forwarded } = await stamp.request({ path: '/a' });
 */
export async function testFilter<C, R>(
  filter: HttpFilterDefinition<C, R>,
  options: TestFilterOptions = {},
): Promise<FilterHarness> {
  const routeSchema = filter.routeConfig ?? filter.config;
  const routeConfigs: unknown[] = [];
  for (const config of options.routeConfigs ?? []) routeConfigs.push(await validated(routeSchema, config));
  const env = new TestEnv(filter.name, routeConfigs, options.calls);
  const config = (await validated(filter.config, options.config ?? {})) as C;
  await filter.prepare?.();
  const hooks = filter.create(config, env as never);
  const problem = hooksProblem(hooks, 'http');
  if (problem !== undefined) throw new Error(`'${filter.name}': ${problem}`);
  return new FilterHarness(filter as HttpFilterDefinition, hooks, env, options.app ?? echo);
}

function echo(request: ForwardedRequest): TestResponse {
  return { headers: { 'content-type': request.headers['content-type'] ?? 'text/plain' }, body: request.body };
}

/** One configured filter under test. */
export class FilterHarness {
  readonly hooks: HttpFilterHooks;
  /** What it logged and counted. */
  readonly env: TestEnv;
  readonly #filter: HttpFilterDefinition;
  readonly #app: NonNullable<TestFilterOptions['app']>;

  constructor(
    filter: HttpFilterDefinition,
    hooks: HttpFilterHooks,
    env: TestEnv,
    app: NonNullable<TestFilterOptions['app']>,
  ) {
    this.#filter = filter;
    this.hooks = hooks;
    this.env = env;
    this.#app = app;
  }

  /** Sends one request through the filter to the app and back. */
  request(request: TestRequest = {}): Promise<TestOutcome> {
    return new Exchange(this.#filter, this.hooks, this.#app, request).run();
  }

  /** Ends the filter: its timers, its files. */
  dispose(): void {
    this.hooks.dispose?.();
  }
}

/** Ends the exchange from within a hook. */
class Ended extends Error {
  readonly verdict: Verdict;

  constructor(verdict: Verdict) {
    super(verdict.kind);
    this.verdict = verdict;
  }
}

class Exchange {
  readonly #filter: HttpFilterDefinition;
  readonly #hooks: HttpFilterHooks;
  readonly #app: NonNullable<TestFilterOptions['app']>;
  readonly #request: TestRequest;
  readonly #stream: TestStream;
  readonly #errors: unknown[] = [];
  readonly #hookMs: Record<string, number> = {};
  #forwarded: ForwardedRequest | undefined;
  #verdict: TestOutcome['verdict'] = 'forwarded';
  #body = '';

  constructor(
    filter: HttpFilterDefinition,
    hooks: HttpFilterHooks,
    app: NonNullable<TestFilterOptions['app']>,
    request: TestRequest,
  ) {
    this.#filter = filter;
    this.#hooks = hooks;
    this.#app = app;
    this.#request = request;
    this.#stream = new TestStream(request);
  }

  async run(): Promise<TestOutcome> {
    const stream = this.#stream;
    try {
      this.#forwarded = await this.#sendRequest();
      await this.#respond(await this.#answer(this.#forwarded));
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      await this.#end(error.verdict);
    }
    stream.finish();
    await this.#call('onDone', () => this.#hooks.onDone?.(stream), false);
    return {
      verdict: this.#verdict,
      details: stream.responseCodeDetails,
      forwarded: this.#forwarded,
      status: stream.responseCode,
      headers: toRecord(stream.response),
      body: this.#body,
      trailers: toRecord(stream.responseTrailers),
      flags: formatFlags(stream.responseFlags),
      routeCacheCleared: stream.routeCacheCleared,
      errors: this.#errors,
      hookMs: this.#hookMs,
      metadata: (namespace, key) => stream.getMetadata(namespace, key),
      filterState: (key) => stream.getFilterState(key),
    };
  }

  async #sendRequest(): Promise<ForwardedRequest> {
    const { request } = this.#stream;
    const verdict = await this.#call('onRequest', () => this.#hooks.onRequest?.(request, this.#stream));
    const body = await this.#pass('onRequestBody', this.#request.body, verdict, 413);
    const trailers = this.#request.trailers === undefined ? undefined : toHeaders(this.#request.trailers);
    if (trailers !== undefined) {
      this.#stream.requestTrailers = trailers;
      await this.#call('onRequestTrailers', () => this.#hooks.onRequestTrailers?.(trailers, this.#stream));
    }
    return {
      method: request.method,
      path: request.path,
      authority: request.authority,
      headers: toRecord(request),
      body,
      trailers: toRecord(trailers),
    };
  }

  async #answer(request: ForwardedRequest): Promise<TestResponse> {
    return typeof this.#app === 'function' ? this.#app(request) : this.#app;
  }

  async #respond(answer: TestResponse): Promise<void> {
    const head = this.#stream.beginResponse(answer.status ?? 200, answer.headers ?? {}, 'via_upstream');
    const trailers = answer.trailers === undefined ? undefined : toHeaders(answer.trailers);
    const verdict = await this.#call('onResponse', () => this.#hooks.onResponse?.(head, this.#stream));
    this.#body = await this.#pass('onResponseBody', answer.body, verdict, 500, () => {
      this.#stream.responseTrailers = trailers;
      return trailers !== undefined;
    });
    if (trailers === undefined) return;
    await this.#call('onResponseTrailers', () => this.#hooks.onResponseTrailers?.(trailers, this.#stream));
  }

  /** Calls a hook as the chain does: errors count and decide by `onError`, verdicts other than continue and buffer end it. */
  async #call<T extends HookResult | BodyHookResult>(
    name: string,
    hook: () => T | Promise<T> | PendingVerdict,
    mayEnd = true,
  ): Promise<T | undefined> {
    if (this.#hooks[name as keyof HttpFilterHooks] === undefined) return undefined;
    const start = performance.now();
    let result: T | undefined;
    try {
      const returned = hook();
      const waits = returned instanceof PendingVerdict ? (returned.asPromise() as Promise<T>) : returned;
      result = waits instanceof Promise ? await this.#inTime(waits) : waits;
    } catch (error) {
      this.#errors.push(error);
      if (this.#filter.onError === 'open' || !mayEnd) return undefined;
      const details = `filter_error{${this.#filter.name}}`;
      throw new Ended(reply(500, { body: 'Internal Server Error', details }));
    } finally {
      this.#hookMs[name] = (this.#hookMs[name] ?? 0) + performance.now() - start;
    }
    if (isVerdict(result) && (result.kind === 'reply' || result.kind === 'stop')) throw new Ended(result);
    return result;
  }

  async #inTime<T>(promise: Promise<T>): Promise<T> {
    const limitMs = this.#filter.timeoutMs ?? 5000;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(() => fail(new Error(`did not answer within ${limitMs} ms`)), limitMs);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  /** Passes a body through its hook, in one piece when the head's hook asked for that. */
  async #pass(
    name: 'onRequestBody' | 'onResponseBody',
    body: TestBody | undefined,
    verdict: unknown,
    tooLargeStatus: number,
    beforeEnd: () => boolean = () => false,
  ): Promise<string> {
    let chunks = toChunks(body);
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (isVerdict(verdict) && verdict.kind === 'buffer' && bytes > 0) {
      if (bytes > verdict.maxBytes) {
        const side = name === 'onRequestBody' ? 'request' : 'response';
        const body = tooLargeStatus === 413 ? 'Payload Too Large' : 'Internal Server Error';
        throw new Ended(reply(tooLargeStatus, { body, details: `${side}_payload_too_large` }));
      }
      chunks = [Buffer.concat(chunks)];
    } else if (bytes > 0) {
      // The end comes by itself behind the last byte.
      chunks = [...chunks, Buffer.alloc(0)];
    }
    // Trailers are there when the last chunk comes, and bring one even behind no body.
    if (chunks.length === 0 && beforeEnd()) chunks = [Buffer.alloc(0)];
    const passed: Uint8Array[] = [];
    for (const [index, chunk] of chunks.entries()) {
      const end = index === chunks.length - 1;
      if (end) beforeEnd();
      const result = await this.#call(name, () => this.#hooks[name]?.(chunk, end, this.#stream));
      passed.push(Buffer.from(result instanceof Uint8Array ? result : chunk));
      // Chunks are the proxy's memory: what a filter keeps without copying changes under it.
      chunk.fill(0);
    }
    return Buffer.concat(passed).toString();
  }

  async #end(verdict: Verdict): Promise<void> {
    const stream = this.#stream;
    if (verdict.kind === 'stop') {
      this.#verdict = 'stopped';
      if (verdict.flag !== undefined) stream.addResponseFlag(FLAG[verdict.flag]);
      stream.responseCodeDetails = verdict.details;
      return;
    }
    const answer = verdict as Reply;
    const wasAnswering = stream.response !== undefined;
    this.#verdict = 'replied';
    if (answer.flag !== undefined) stream.addResponseFlag(FLAG[answer.flag]);
    const head = stream.beginResponse(answer.status, answer.headers, answer.details);
    this.#body = answer.body;
    // A local reply passes the response hooks like any other answer, but only once.
    if (wasAnswering) return;
    try {
      const buffered = await this.#call('onResponse', () => this.#hooks.onResponse?.(head, stream));
      this.#body = await this.#pass('onResponseBody', answer.body, buffered, 500);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      await this.#end(error.verdict);
    }
    stream.responseCode = (stream.response as ResponseHead).status;
  }
}

function isVerdict(result: unknown): result is Verdict {
  return typeof result === 'object' && result !== null && 'kind' in result;
}

function toChunks(body: TestBody | undefined): Buffer[] {
  if (body === undefined) return [];
  const list = typeof body === 'string' || body instanceof Uint8Array ? [body] : body;
  return list.map((chunk) => Buffer.from(chunk as string)).filter((chunk) => chunk.length > 0);
}

function toHeaders(headers: TestHeaders): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) map.add(name, one);
  }
  return map;
}

/** Headers by name, a repeated one joined by commas. */
function toRecord(headers: HeaderMap | undefined): Record<string, string> {
  const record: Record<string, string> = {};
  for (const [name] of headers?.entries() ?? []) record[name] ??= headers?.getAll(name).join(',') ?? '';
  return record;
}
