import * as grpc from '@grpc/grpc-js';
import { type App, readAll, startApp } from '../support/story.ts';

/** Services that policies call, as small as a test can have them. */

export interface RateLimitService extends AsyncDisposable {
  readonly port: number;
  /** `domain key=value …` of each call. */
  readonly asked: readonly string[];
}

const same = (bytes: Buffer): Buffer => bytes;
const SHOULD_RATE_LIMIT: grpc.MethodDefinition<Buffer, Buffer> = {
  path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};
/** RateLimitResponse with overall_code OK or OVER_LIMIT. */
const OK = Buffer.from([0x08, 1]);
const OVER_LIMIT = Buffer.from([0x08, 2]);

/** Speaks envoy.service.ratelimit.v3: so many calls with the same descriptors, and no more. */
export async function startRateLimitService(limit: number): Promise<RateLimitService> {
  const asked: string[] = [];
  const server = new grpc.Server();
  server.addService(
    { shouldRateLimit: SHOULD_RATE_LIMIT },
    {
      shouldRateLimit: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        const what = describe(call.request);
        asked.push(what);
        reply(null, asked.filter((one) => one === what).length > limit ? OVER_LIMIT : OK);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, asked, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

/** RateLimitRequest: domain = 1, descriptors = 2 { entries = 1 { key = 1, value = 2 } }. */
function describe(request: Buffer): string {
  const fields = fieldsOf(request);
  const entries = all(fields, 2).flatMap((descriptor) => all(fieldsOf(descriptor), 1).map(fieldsOf));
  const text = (of: [number, Buffer][], field: number): string => all(of, field).join('');
  return [text(fields, 1), ...entries.map((entry) => `${text(entry, 1)}=${text(entry, 2)}`)].join(' ');
}

function all(fields: readonly [number, Buffer][], number: number): Buffer[] {
  return fields.filter(([field]) => field === number).map(([, bytes]) => bytes);
}

/** Fields of a protobuf message whose values are shorter than 16 KiB; varints are left out. */
function fieldsOf(message: Buffer): [number, Buffer][] {
  const found: [number, Buffer][] = [];
  for (let at = 0; at < message.length; ) {
    const tag = message[at++]!;
    let value = message[at]! & 0x7f;
    if (message[at++]! > 0x7f) value |= message[at++]! << 7;
    if ((tag & 7) !== 2) continue;
    found.push([tag >> 3, message.subarray(at, at + value)]);
    at += value;
  }
  return found;
}

export interface Collector extends App {
  /** All that came, as latin1: texts and ids of spans can be looked for in it. */
  received(): string;
}

/** Takes OTLP over HTTP. */
export async function startCollector(): Promise<Collector> {
  const bodies: Buffer[] = [];
  const app = await startApp((request, response) => {
    void readAll(request).then((body) => {
      bodies.push(body);
      response.end();
    });
  });
  return {
    ...app,
    received: () => Buffer.concat(bodies).toString('latin1'),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}
