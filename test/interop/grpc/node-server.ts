import type { EventEmitter } from 'node:events';
import * as grpc from '@grpc/grpc-js';
import { type GrpcServer, messageBytes, SERVICE } from './peers.ts';

const same = (bytes: Buffer): Buffer => bytes;
type AnyCall =
  | grpc.ServerUnaryCall<Buffer, Buffer>
  | grpc.ServerReadableStream<Buffer, Buffer>
  | grpc.ServerWritableStream<Buffer, Buffer>
  | grpc.ServerDuplexStream<Buffer, Buffer>;

/** What a call's end shall be. */
interface CallEnd {
  readonly failure: grpc.ServiceError | undefined;
  readonly waits: boolean;
  readonly trailers: grpc.Metadata;
  readonly over: () => void;
}

function method(name: string, requestStream: boolean, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/${SERVICE}/${name}`,
    requestStream,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

const DEFINITION = {
  Unary: method('Unary', false, false),
  ClientStream: method('ClientStream', true, false),
  ServerStream: method('ServerStream', false, true),
  Bidi: method('Bidi', true, true),
  Seen: method('Seen', false, false),
};

/** The server of `@grpc/grpc-js`. */
export class NodeServer implements GrpcServer {
  port = 0;
  private readonly server: grpc.Server;
  private seen = { calls: 0, cancelled: 0, active: 0, deadlineMs: 0 };

  constructor() {
    this.server = new grpc.Server({
      'grpc.max_receive_message_length': 1 << 24,
      'grpc.max_send_message_length': 1 << 24,
      // Asks whether the proxy is still there.
      'grpc.keepalive_time_ms': 1000,
    });
    this.server.addService(DEFINITION, {
      Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) =>
        this.answer(this.begin(call), reply, () => call.request),
      ClientStream: (call: grpc.ServerReadableStream<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        let bytes = 0;
        const end = this.begin(call);
        call.on('data', (message: Buffer) => {
          bytes += message.length;
        });
        call.on('end', () => this.answer(end, reply, () => Buffer.from(String(bytes))));
      },
      ServerStream: (call: grpc.ServerWritableStream<Buffer, Buffer>) => void this.stream(call),
      Bidi: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => this.bidi(call),
      Seen: (_call: unknown, reply: grpc.sendUnaryData<Buffer>) => reply(null, Buffer.from(JSON.stringify(this.seen))),
    });
  }

  async start(): Promise<this> {
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

  /** Counts the call and sends its headers; what its end shall be. */
  private begin(call: AnyCall): CallEnd {
    this.seen.calls++;
    this.seen.active++;
    let isOver = false;
    const over = (): void => {
      if (!isOver) this.seen.active--;
      isOver = true;
    };
    const events: EventEmitter = call;
    events.on('cancelled', () => {
      this.seen.cancelled++;
      over();
    });
    events.on('finish', over);
    const deadline = call.getDeadline();
    if (Number.isFinite(Number(deadline))) this.seen.deadlineMs = Number(deadline) - Date.now();
    const trailers = copied(call.metadata);
    if (call.metadata.get('x-wait')[0] !== 'silent') call.sendMetadata(copied(call.metadata));
    const [code] = call.metadata.get('x-code');
    const details = call.metadata.get('x-message')[0]?.toString() ?? '';
    const waits = call.metadata.get('x-wait').length > 0;
    if (code === undefined) return { failure: undefined, waits, trailers, over };
    const failure = Object.assign(new Error(details), { code: Number(code), details, metadata: trailers });
    return { failure, waits, trailers, over };
  }

  private answer(end: CallEnd, reply: grpc.sendUnaryData<Buffer>, message: () => Buffer): void {
    const { failure, waits, trailers, over } = end;
    if (waits) return;
    if (failure !== undefined) reply(failure);
    else reply(null, message(), trailers);
    over();
  }

  private async stream(call: grpc.ServerWritableStream<Buffer, Buffer>): Promise<void> {
    const { failure, waits, trailers } = this.begin(call);
    const count = Number(call.metadata.get('x-replies')[0] ?? 3);
    const bytes = Number(call.metadata.get('x-reply-bytes')[0] ?? 10);
    for (let i = 0; i < count && !call.cancelled; i++) {
      if (call.write(messageBytes(bytes, i))) continue;
      await new Promise<void>((resolve) => {
        call.once('drain', resolve);
        call.once('cancelled', resolve);
      });
    }
    if (waits) return;
    if (failure !== undefined) call.emit('error', failure);
    else call.end(trailers);
  }

  private bidi(call: grpc.ServerDuplexStream<Buffer, Buffer>): void {
    const { failure, waits, trailers } = this.begin(call);
    call.on('data', (message: Buffer) => {
      if (call.write(message)) return;
      call.pause();
      call.once('drain', () => call.resume());
    });
    call.on('end', () => {
      if (waits) return;
      if (failure !== undefined) call.emit('error', failure);
      else call.end(trailers);
    });
  }
}

/** What of a call's metadata comes back. */
function copied(metadata: grpc.Metadata): grpc.Metadata {
  const result = new grpc.Metadata();
  for (const name of ['x-data-bin', 'x-text']) for (const value of metadata.get(name)) result.add(name, value);
  return result;
}
