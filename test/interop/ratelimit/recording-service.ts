import * as grpc from '@grpc/grpc-js';
import { type RateLimitRequest, readRateLimitRequest } from '../../../src/http/grpc/rate-limit-request.ts';

const same = (bytes: Buffer): Buffer => bytes;
const SERVICE = {
  ShouldRateLimit: {
    path: '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
} as const;

/** Field of the wire format with a length. */
function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as Buffer);
  return Buffer.concat([Buffer.from([number * 8 + 2, bytes.length]), bytes]);
}

const header = (name: string, value: string): Buffer => Buffer.concat([field(1, name), field(2, value)]);

/** 10 per second with 4 left, and 100 per hour with 7 left for 1000 seconds. */
const STATUSES = Buffer.concat([
  field(
    2,
    Buffer.concat([
      Buffer.from('0801', 'hex'),
      field(2, Buffer.from('080a1001', 'hex')),
      Buffer.from('1804', 'hex'),
      field(4, Buffer.from('0801', 'hex')),
    ]),
  ),
  field(
    2,
    Buffer.concat([
      Buffer.from('0801', 'hex'),
      field(2, Buffer.concat([Buffer.from('08641003', 'hex'), field(3, 'hourly')])),
      Buffer.from('1807', 'hex'),
      field(4, Buffer.from('08e807', 'hex')),
    ]),
  ),
]);

/** What the service says, by the value of any entry that it is asked about. */
const ANSWERS: Readonly<Record<string, Buffer | undefined>> = {
  over: Buffer.from('0802', 'hex'),
  'over with more': Buffer.concat([
    Buffer.from('0802', 'hex'),
    STATUSES,
    field(3, header('x-told', 'why')),
    field(3, header('content-type', 'application/json')),
    field(4, header('x-quota', 'none')),
    field(5, '{"limited":true}'),
  ]),
  'ok with more': Buffer.concat([
    Buffer.from('0801', 'hex'),
    STATUSES,
    field(3, header('x-told', 'ok')),
    field(3, header('x-told', 'twice')),
    field(4, header('x-quota', 'plenty')),
  ]),
  nonsense: Buffer.from('ffffff', 'hex'),
  unknown: Buffer.from('0800', 'hex'),
};

/** A rate limit service of `@grpc/grpc-js` that notes what it is asked. */
export class RecordingService implements AsyncDisposable {
  port = 0;
  readonly asked: RateLimitRequest[] = [];
  private readonly server = new grpc.Server();

  async start(): Promise<this> {
    this.server.addService(SERVICE, {
      ShouldRateLimit: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        const request = readRateLimitRequest(call.request);
        this.asked.push(request);
        const values = request.descriptors.flatMap(({ entries }) => entries.map(({ value }) => value));
        if (values.includes('silent')) return;
        if (values.includes('broken')) reply({ code: grpc.status.INTERNAL, details: 'broken' });
        else
          reply(
            null,
            ANSWERS[values.find((value) => ANSWERS[value] !== undefined) ?? ''] ?? Buffer.from('0801', 'hex'),
          );
      },
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.forceShutdown();
  }
}
