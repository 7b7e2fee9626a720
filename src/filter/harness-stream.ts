import { isGrpcContentType } from '../http/grpc/content-type.ts';
import { RequestHead, ResponseHead } from '../http/message.ts';
import { StreamRecord } from '../http/stream-record.ts';
import type { TestHeaders, TestRequest } from './harness.ts';
import { testConnection } from './harness-env.ts';
import { type HttpStream, NO_RATE_LIMITS, type RouteView } from './http.ts';

/** The stream of one test request. */
export class TestStream extends StreamRecord implements HttpStream {
  readonly request = new RequestHead();
  readonly route: RouteView | undefined;
  readonly isUpgrade: boolean;
  readonly isGrpc: boolean;
  routeCacheCleared = false;
  readonly #abort = new AbortController();

  constructor(test: TestRequest) {
    super(testConnection(test.remoteAddress));
    const { request } = this;
    request.method = test.method ?? 'GET';
    request.path = test.path ?? '/';
    request.authority = test.authority ?? 'app.test';
    request.scheme = test.scheme ?? 'http';
    addAll(request, test.headers ?? {});
    this.startMs = performance.now();
    this.isUpgrade = test.upgrade ?? false;
    this.isGrpc = isGrpcContentType(request.get('content-type') ?? '');
    this.route = {
      name: 'test',
      virtualHostName: 'test',
      clusterName: 'app',
      clusterHeader: '',
      metadata: {},
      rateLimits: NO_RATE_LIMITS,
      ...test.route,
    };
    this.routeName = this.route.name;
    for (const [namespace, values] of Object.entries(test.metadata ?? {})) {
      for (const [key, value] of Object.entries(values)) this.setMetadata(namespace, key, value);
    }
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  clearRouteCache(): void {
    this.routeCacheCleared = true;
  }

  beginResponse(status: number, headers: TestHeaders, details: string): ResponseHead {
    const head = new ResponseHead();
    head.status = status;
    addAll(head, headers);
    this.response = head;
    this.responseCode = status;
    this.responseCodeDetails = details;
    return head;
  }

  finish(): void {
    this.endMs = performance.now();
    this.responseCode = this.response?.status ?? 0;
    this.#abort.abort();
  }
}

function addAll(head: { add(name: string, value: string): void }, headers: TestHeaders): void {
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === 'string' ? [value] : value) head.add(name, one);
  }
}
