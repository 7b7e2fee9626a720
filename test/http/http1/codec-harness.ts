import fc from 'fast-check';
import { builtinRegistry } from '../../../filters/index.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { HttpConnectionManager } from '../../../src/config/schema/http-connection-manager.ts';
import type { UpstreamCodec, UpstreamEvents, UpstreamResetReason } from '../../../src/http/codec.ts';
import type { ConnectionManager } from '../../../src/http/connection-manager.ts';
import { type HttpSettings, resolveSettings } from '../../../src/http/connection-manager-settings.ts';
import { HeaderMap } from '../../../src/http/headers.ts';
import { HttpStats } from '../../../src/http/http-stats.ts';
import { Http1ClientConnection } from '../../../src/http/http1/client-connection.ts';
import { type HeadError, type HeadLimits, HeadParser } from '../../../src/http/http1/head-parser.ts';
import { Http1ServerConnection } from '../../../src/http/http1/server-connection.ts';
import { RequestHead, ResponseHead } from '../../../src/http/message.ts';
import type { Connection, ConnectionHandler } from '../../../src/network/connection.ts';
import { connectionInfo } from '../../../src/network/connection-record.ts';
import { StatsStore } from '../../../src/observe/stats.ts';
import { httpConfig } from '../../support/proxy.ts';

/** Both sides of the HTTP/1 codec on a connection that is plain memory. */

/** Strings of any bytes. */
export function anyBytes(minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));
}

export const LIMITS: HeadLimits = { maxHeaderBytes: 60 * 1024, maxHeaderCount: 100, preserveCase: false };

/** Settings of a connection manager with these YAML fields, Envoy's defaults otherwise. */
export function managerSettings(manager = ''): HttpSettings {
  const config = loadConfig('codec.yaml', { registry: builtinRegistry(), text: httpConfig(1, { manager }) });
  const filter = config.bootstrap.static_resources.listeners[0]?.filter_chains[0]?.filters[0];
  return resolveSettings(filter?.typed_config.value as HttpConnectionManager, 1024 * 1024);
}

/** A connection whose peer is the test: it feeds bytes and reads what was written. */
export class MemoryConnection implements Connection {
  handler: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  readonly remoteAddress = '127.0.0.1';
  readonly remotePort = 1;
  readonly localAddress = '127.0.0.1';
  readonly localPort = 2;
  readonly tls = undefined;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  congested = false;
  /** What was written, latin1. */
  written = '';
  reading = false;
  ended = false;
  /** The kernel takes nothing more until `drain`. */
  full = false;
  /** Bytes that were fed while nobody read. */
  readonly backlog: Buffer[] = [];
  /** The memory that reads land in, reused as the real one is. */
  private readonly readBuffer = Buffer.alloc(64 * 1024);

  feed(bytes: Buffer | string): this {
    const buffer = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
    for (let at = 0; at < buffer.length; at += this.readBuffer.length)
      this.backlog.push(buffer.subarray(at, at + this.readBuffer.length));
    this.pump();
    return this;
  }

  private pump(): void {
    while (this.reading && !this.closed) {
      const chunk = this.backlog.shift();
      if (chunk === undefined) return;
      chunk.copy(this.readBuffer);
      this.bytesRead += chunk.length;
      this.handler.onData(this.readBuffer, chunk.length);
      // Whoever kept a reference instead of a copy will notice.
      this.readBuffer.fill(0x21, 0, chunk.length);
    }
  }

  feedEnd(): void {
    this.handler.onEnd();
  }

  drain(): void {
    this.full = false;
    this.congested = false;
    this.handler.onDrain();
  }

  private write(text: string): boolean {
    if (this.closed || this.ended) return true;
    this.written += text;
    this.bytesWritten += text.length;
    this.congested = this.full;
    return !this.full;
  }

  writeText(text: string): boolean {
    return this.write(text);
  }
  writeCopy(buffer: Buffer, start: number, end: number): boolean {
    return this.write(buffer.latin1Slice(start, end));
  }
  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean {
    return this.write(prefix + buffer.latin1Slice(start, end) + suffix);
  }
  writeStable(buffer: Buffer, start: number, end: number): boolean {
    return this.writeCopy(buffer, start, end);
  }
  end(): void {
    this.ended = true;
  }
  pause(): void {
    this.reading = false;
  }
  resume(): void {
    this.reading = true;
    queueMicrotask(() => this.pump());
  }
  setReadBuffer(): boolean {
    return false;
  }
  destroy(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    queueMicrotask(() => this.handler.onClose(error));
  }
  reset(): void {
    this.destroy();
  }
}

/** One request as a stream saw it. */
export interface SeenRequest {
  method: string;
  path: string;
  authority: string;
  headers: [string, string][];
  body: string;
  trailers: [string, string][];
  complete: boolean;
}

/** What a test stream does with a request: answers it at once when it is complete, unless told otherwise. */
export interface ServerOptions {
  manager?: string;
  onHead?: (stream: TestStream) => void;
  onComplete?: (stream: TestStream) => void;
}

/** Stands where the connection manager's stream stands. */
export class TestStream {
  readonly request = new RequestHead();
  readonly options: ServerOptions;
  readonly seen: SeenRequest[];
  readonly refusals: HeadError[];
  readonly resets: string[];
  codec!: Http1ServerConnection;
  requestContentLength = 0;
  completed = 0;

  constructor(options: ServerOptions, seen: SeenRequest[], refusals: HeadError[], resets: string[]) {
    this.options = options;
    this.seen = seen;
    this.refusals = refusals;
    this.resets = resets;
  }

  private get current(): SeenRequest {
    return this.seen.at(-1) as SeenRequest;
  }

  onRequestHead(endStream: boolean): void {
    const { method, path, authority } = this.request;
    const headers = [...this.request].filter(([name]) => name !== 'content-length');
    this.seen.push({ method, path, authority, headers, body: '', trailers: [], complete: endStream });
    this.options.onHead?.(this);
    if (endStream) this.finished();
  }

  onRequestBody(buffer: Buffer, start: number, end: number): void {
    this.current.body += buffer.latin1Slice(start, end);
  }

  onRequestEnd(trailers: HeaderMap | undefined): void {
    this.current.complete = true;
    this.current.trailers = trailers === undefined ? [] : [...trailers];
    this.finished();
  }

  private finished(): void {
    if (this.options.onComplete === undefined) this.respond(200, `${this.current.path};`);
    else this.options.onComplete(this);
  }

  respond(status: number, body: string): void {
    const head = new ResponseHead();
    head.status = status;
    this.codec.writeHead(head, body === '', body.length);
    if (body === '') return;
    const bytes = Buffer.from(body, 'latin1');
    this.codec.writeBody(bytes, 0, bytes.length, false);
    this.codec.finish(undefined);
  }

  onInvalidRequest(error: HeadError): void {
    this.refusals.push(error);
    this.respond(error.status, '');
  }

  onRequestHeaderTimeout(): void {
    this.respond(408, '');
  }

  onDownstreamReset(details: string, protocolError: boolean): void {
    this.resets.push(details);
    if (protocolError) this.respond(400, '');
    else this.codec.resetStream();
  }

  onUpstreamBroken(_flag: number, details: string): void {
    this.resets.push(details);
    this.codec.resetStream();
  }

  onDownstreamDrain(): void {}
  onDownstreamCongested(): void {}
  complete(): void {
    this.completed++;
  }
}

export class ServerHarness {
  readonly connection = new MemoryConnection();
  readonly seen: SeenRequest[] = [];
  readonly refusals: HeadError[] = [];
  readonly resets: string[] = [];
  readonly stats = new HttpStats(new StatsStore().scope('http').scope('test'));
  readonly codec: Http1ServerConnection;
  readonly stream: TestStream;
  closedWith: number | undefined = undefined;

  constructor(options: ServerOptions = {}, settings = defaultSettings(options.manager)) {
    this.stream = new TestStream(options, this.seen, this.refusals, this.resets);
    const manager = {
      settings,
      stats: this.stats,
      headParser: new HeadParser(settings.headLimits),
      noStream: this.stream,
      takeStream: () => this.stream,
      returnStream: () => {},
      onConnectionClosed: () => {
        this.closedWith = 0;
      },
    };
    this.codec = new Http1ServerConnection(
      this.connection,
      manager as unknown as ConnectionManager,
      connectionInfo(this.connection),
    );
    this.stream.codec = this.codec;
    this.connection.handler = this.codec;
    this.connection.resume();
  }

  /** Feeds and lets microtasks run. */
  async feed(bytes: Buffer | string): Promise<this> {
    this.connection.feed(bytes);
    await settled();
    return this;
  }

  get statuses(): number[] {
    return [...this.connection.written.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));
  }
}

const known = new Map<string, HttpSettings>();
function defaultSettings(manager = ''): HttpSettings {
  const settings = known.get(manager) ?? managerSettings(manager);
  known.set(manager, settings);
  return settings;
}

/** Lets queued microtasks run. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 4; i++) await Promise.resolve();
}

/** One response as the router would see it. */
export class Exchange implements UpstreamEvents {
  readonly upstreamHead = new ResponseHead();
  readonly upstreamTrailers = new HeaderMap();
  codec: UpstreamCodec | undefined = undefined;
  readonly interims: number[] = [];
  status = 0;
  headers: [string, string][] = [];
  body = '';
  trailers: [string, string][] = [];
  ended = false;
  reset: { reason: UpstreamResetReason; failure: string; anyByte: boolean } | undefined = undefined;

  onUpstreamReady(codec: UpstreamCodec): void {
    this.codec = codec;
  }
  onUpstreamInterim(head: ResponseHead): void {
    this.interims.push(head.status);
  }
  onUpstreamHead(head: ResponseHead, endStream: boolean): void {
    this.status = head.status;
    this.headers = [...head];
    this.ended = endStream;
  }
  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    this.body += buffer.latin1Slice(start, end);
  }
  onUpstreamEnd(trailers: HeaderMap | undefined): void {
    this.ended = true;
    this.trailers = trailers === undefined ? [] : [...trailers];
  }
  onUpstreamReset(reason: UpstreamResetReason, failure: string, anyByte: boolean): void {
    this.reset = { reason, failure, anyByte };
  }
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}

export class ClientHarness {
  readonly connection = new MemoryConnection();
  readonly codec: Http1ClientConnection;
  /** Whether the connection was offered for reuse, per exchange. */
  readonly reuse: boolean[] = [];
  onExchangeEnd: () => void = () => {};

  constructor() {
    this.codec = new Http1ClientConnection(
      this.connection,
      {
        onExchangeEnd: (_, reusable) => {
          this.reuse.push(reusable);
          this.onExchangeEnd();
        },
        onConnectionClosed() {},
      },
      { headLimits: LIMITS, enableTrailers: true, properCase: false },
    );
  }

  /** Sends a request without a body. */
  request(method = 'GET', fields: Record<string, string> = {}, upgrade = ''): Exchange {
    const exchange = new Exchange();
    this.codec.begin(exchange);
    exchange.onUpstreamReady(this.codec);
    const head = new RequestHead();
    head.method = method;
    head.path = '/';
    head.authority = 'app:80';
    head.upgrade = upgrade;
    for (const [name, value] of Object.entries(fields)) head.add(name, value);
    this.codec.writeHead(head, method !== 'CONNECT', 0);
    return exchange;
  }

  async feed(bytes: Buffer | string): Promise<this> {
    this.connection.feed(bytes);
    await settled();
    return this;
  }
}
