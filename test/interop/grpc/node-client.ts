import { createHash } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { type CallResult, type CallSpec, type GrpcClient, type Method, messageBytes, SERVICE } from './peers.ts';

const same = (bytes: Buffer): Buffer => bytes;
const LIMITS = { 'grpc.max_receive_message_length': 1 << 24, 'grpc.max_send_message_length': 1 << 24 };

/** The client of `@grpc/grpc-js`. */
export class NodeClient implements GrpcClient {
  private readonly client: grpc.Client;

  constructor(port: number) {
    const keepAlive = { 'grpc.keepalive_time_ms': 1000, 'grpc.keepalive_permit_without_calls': 1 };
    this.client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      ...LIMITS,
      ...keepAlive,
      'grpc.enable_retries': 0,
      // Connections are not shared with clients of other tests.
      'grpc.use_local_subchannel_pool': 1,
    });
  }

  async call(spec: CallSpec): Promise<CallResult[]> {
    if (spec.idleMs !== undefined) await sleep(spec.idleMs);
    const count = spec.parallel ?? 1;
    let open = 0;
    let release = (): void => {};
    const allOpen = new Promise<void>((resolve) => {
      release = resolve;
    });
    const opened = (): Promise<void> => {
      if (++open === count) release();
      return allOpen;
    };
    return Promise.all(Array.from({ length: count }, () => this.one(spec, opened)));
  }

  /** The reply of a unary method without arguments, as text. */
  text(method: Method): Promise<string> {
    return new Promise((resolve, reject) => {
      const path = `/${SERVICE}/${method}`;
      this.client.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error, reply) =>
        error === null ? resolve(String(reply)) : reject(error),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
  }

  private one(spec: CallSpec, opened: () => Promise<void>): Promise<CallResult> {
    const { metadata, options } = ofSpec(spec);
    const path = `/${SERVICE}/${spec.method}`;
    const sizes = spec.sizes ?? [10];
    const messages: [number, string][] = [];
    let headers: Record<string, string> = {};
    return new Promise((resolve) => {
      const onStatus = ({ code, details, metadata: trailers }: grpc.StatusObject): void =>
        resolve({ code, details, messages, headers, trailers: plain(trailers) });
      const take = (message: Buffer): void => {
        messages.push([message.length, createHash('sha1').update(message).digest('hex')]);
        if (messages.length === spec.cancelAfter) call.cancel();
      };
      const reply = (_error: grpc.ServiceError | null, message?: Buffer): void => {
        if (message !== undefined) take(message);
      };
      const first = messageBytes(sizes[0] ?? 0, 0);
      const call = ((): grpc.ClientUnaryCall | grpc.ClientReadableStream<Buffer> => {
        if (spec.method === 'Unary' || spec.method === 'Seen') {
          return this.client.makeUnaryRequest(path, same, same, first, metadata, options, reply);
        }
        if (spec.method === 'ServerStream') {
          return this.client.makeServerStreamRequest(path, same, same, first, metadata, options);
        }
        if (spec.method === 'Bidi') {
          const duplex = this.client.makeBidiStreamRequest(path, same, same, metadata, options);
          if (spec.pingPong === true) pingPong(duplex, sizes, opened);
          else void sendAll(duplex, sizes, spec.cancelAfter === undefined);
          return duplex;
        }
        const upload = this.client.makeClientStreamRequest(path, same, same, metadata, options, reply);
        void sendAll(upload, sizes, spec.cancelAfter === undefined);
        return upload;
      })();
      const events: EventEmitter = call;
      events.on('metadata', (initial: grpc.Metadata) => {
        headers = plain(initial);
      });
      events.on('status', onStatus);
      events.on('error', () => {});
      if ('readable' in call) events.on('data', take);
      if (spec.cancelAfter === 0) setTimeout(() => call.cancel(), 200);
    });
  }
}

function ofSpec(spec: CallSpec): { metadata: grpc.Metadata; options: grpc.CallOptions } {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(spec.metadata ?? {})) metadata.set(name, value);
  for (const [name, value] of Object.entries(spec.binary ?? {})) metadata.set(name, Buffer.from(value, 'base64'));
  return { metadata, options: spec.deadlineMs === undefined ? {} : { deadline: Date.now() + spec.deadlineMs } };
}

function plain(metadata: grpc.Metadata): Record<string, string> {
  const entries = Object.entries(metadata.getMap());
  return Object.fromEntries(
    entries.map(([name, value]) => [name, typeof value === 'string' ? value : value.toString('base64')]),
  );
}

interface Writable {
  write(message: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
  end(): void;
}

/** One message after the other, as fast as they are taken. */
async function sendAll(call: Writable, sizes: readonly number[], ends: boolean): Promise<void> {
  for (const [i, size] of sizes.entries()) {
    if (call.write(messageBytes(size, i))) continue;
    await new Promise<void>((resolve) => call.once('drain', resolve));
  }
  if (ends) call.end();
}

/** The next message when the last one came back. */
function pingPong(
  call: grpc.ClientDuplexStream<Buffer, Buffer>,
  sizes: readonly number[],
  opened: () => Promise<void>,
): void {
  let sent = 0;
  const next = (): void => {
    if (sent < sizes.length) call.write(messageBytes(sizes[sent] as number, sent++));
    else call.end();
  };
  call.on('data', () => {
    if (sent === 1) void opened().then(next);
    else next();
  });
  next();
}
