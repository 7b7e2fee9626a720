import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type handleUnaryCall, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

/** A collector of OpenTelemetry for tests: it takes OTLP by HTTP and by gRPC, and shows what came. */

const field = (id: number, type: string, rule?: 'repeated') => ({ id, type, ...(rule === undefined ? {} : { rule }) });

/** The messages of opentelemetry.proto.collector.trace.v1 as published, as far as tracers use them. */
const ROOT = protobuf.Root.fromJSON({
  nested: {
    AnyValue: {
      oneofs: { value: { oneof: ['stringValue', 'boolValue', 'intValue', 'doubleValue'] } },
      fields: {
        stringValue: field(1, 'string'),
        boolValue: field(2, 'bool'),
        intValue: field(3, 'int64'),
        doubleValue: field(4, 'double'),
      },
    },
    KeyValue: { fields: { key: field(1, 'string'), value: field(2, 'AnyValue') } },
    InstrumentationScope: { fields: { name: field(1, 'string'), version: field(2, 'string') } },
    Resource: { fields: { attributes: field(1, 'KeyValue', 'repeated') } },
    Status: { fields: { message: field(2, 'string'), code: field(3, 'int32') } },
    Event: { fields: { timeUnixNano: field(1, 'fixed64'), name: field(2, 'string') } },
    Span: {
      fields: {
        traceId: field(1, 'bytes'),
        spanId: field(2, 'bytes'),
        traceState: field(3, 'string'),
        parentSpanId: field(4, 'bytes'),
        name: field(5, 'string'),
        kind: field(6, 'int32'),
        startTimeUnixNano: field(7, 'fixed64'),
        endTimeUnixNano: field(8, 'fixed64'),
        attributes: field(9, 'KeyValue', 'repeated'),
        events: field(11, 'Event', 'repeated'),
        status: field(15, 'Status'),
        flags: field(16, 'fixed32'),
      },
    },
    ScopeSpans: { fields: { scope: field(1, 'InstrumentationScope'), spans: field(2, 'Span', 'repeated') } },
    ResourceSpans: { fields: { resource: field(1, 'Resource'), scopeSpans: field(2, 'ScopeSpans', 'repeated') } },
    ExportTraceServiceRequest: { fields: { resourceSpans: field(1, 'ResourceSpans', 'repeated') } },
  },
});
const REQUEST = ROOT.lookupType('ExportTraceServiceRequest');

/** A span as the collector has it; ids in hexadecimal digits, times in nanoseconds. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly traceState: string;
  readonly name: string;
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly tags: Readonly<Record<string, string>>;
  readonly events: readonly { readonly name: string; readonly atNs: bigint }[];
  readonly statusCode: number;
  readonly flags: number;
  readonly resource: Readonly<Record<string, string>>;
  readonly scope: string;
}

interface KeyValue {
  key?: string;
  value?: { stringValue?: string };
}

/** Decodes an ExportTraceServiceRequest. */
export function decodeSpans(body: Uint8Array): CollectedSpan[] {
  const request = REQUEST.toObject(REQUEST.decode(body), { longs: String, defaults: true }) as {
    resourceSpans: {
      resource: { attributes: KeyValue[] };
      scopeSpans: { scope: { name: string }; spans: Record<string, unknown>[] }[];
    }[];
  };
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        traceId: Buffer.from(span.traceId as Uint8Array).toString('hex'),
        spanId: Buffer.from(span.spanId as Uint8Array).toString('hex'),
        parentId: Buffer.from(span.parentSpanId as Uint8Array).toString('hex'),
        traceState: span.traceState as string,
        name: span.name as string,
        kind: span.kind as number,
        startNs: BigInt(span.startTimeUnixNano as string),
        endNs: BigInt(span.endTimeUnixNano as string),
        tags: recordOf(span.attributes as KeyValue[]),
        events: (span.events as { name: string; timeUnixNano: string }[]).map((event) => ({
          name: event.name,
          atNs: BigInt(event.timeUnixNano),
        })),
        statusCode: (span.status as { code: number } | null)?.code ?? 0,
        flags: span.flags as number,
        resource: recordOf(resource.attributes),
        scope: scope.name,
      })),
    ),
  );
}

function recordOf(pairs: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key = '', value }) => [key, value?.stringValue ?? '']));
}

export interface Collector extends AsyncDisposable {
  readonly port: number;
  readonly spans: CollectedSpan[];
  /** Head of each request, or metadata of each call. */
  readonly requests: { readonly path: string; readonly headers: Record<string, unknown> }[];
  /** What it answers from now on: an HTTP status, or the number of a gRPC status. */
  answer: number;
}

/** An OTLP/HTTP collector on a free port. Spans of requests that it refuses are not kept. */
export async function startHttpCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push({ path: `${request.method} ${request.url}`, headers: request.headers });
      if (collector.answer === 200) spans.push(...decodeSpans(Buffer.concat(chunks)));
      response.writeHead(collector.answer, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const collector: Collector = {
    port: (server.address() as AddressInfo).port,
    spans,
    requests,
    answer: 200,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((done) => server.close(() => done()));
    },
  };
  return collector;
}

/** The same for OTLP/gRPC. */
export async function startGrpcCollector(): Promise<Collector> {
  const spans: CollectedSpan[] = [];
  const requests: Collector['requests'] = [];
  const server = new Server();
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
  const handler: handleUnaryCall<Buffer, Buffer> = (call, respond) => {
    requests.push({ path, headers: call.metadata.getMap() });
    if (collector.answer !== status.OK) {
      respond({ code: collector.answer, details: 'not now', metadata: new Metadata() });
      return;
    }
    spans.push(...decodeSpans(call.request));
    respond(null, Buffer.alloc(0));
  };
  const identity = (bytes: Buffer): Buffer => bytes;
  server.addService(
    {
      Export: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: identity,
        requestDeserialize: identity,
        responseSerialize: identity,
        responseDeserialize: identity,
      },
    },
    { Export: handler },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const collector: Collector = {
    port,
    spans,
    requests,
    answer: status.OK,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
  return collector;
}
