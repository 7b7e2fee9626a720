import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { listen, type TestServer } from '../sockets.ts';
import {
  CODE,
  codeOf,
  contentOf,
  endsStream,
  FLAG,
  type Frame,
  FrameReader,
  frame,
  isAck,
  nameOf,
  PREFACE,
  ping,
  settings,
  settingsAck,
  TYPE,
  windowUpdate,
} from './frames.ts';
import { type Fields, HpackDecoder, type RequestFields, requestBlock } from './hpack.ts';

export interface PeerOptions {
  /** What to say of oneself at the start; `null` sends nothing, neither preface nor settings. */
  readonly settings?: Record<number, number> | null;
  /** Answer SETTINGS and PING. Default true. */
  readonly acknowledges?: boolean;
  /** Give back the window for all data at once. Default true; without it the first 65,535 bytes are all that comes. */
  readonly opensWindows?: boolean;
}

/** A stream's response, or a request, once it has ended. */
export interface Message {
  readonly fields: Fields;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly interim: readonly number[];
  readonly body: Buffer;
  readonly trailers: Fields | undefined;
  /** The code of RST_STREAM when the stream was reset. */
  readonly reset: number | undefined;
}

/**
 * One end of an HTTP/2 connection, frame by frame. It sends whatever it is told to, and keeps everything that comes in
 * but CONTINUATION, which becomes a part of its HEADERS. It holds no account of windows.
 */
export class Http2Peer {
  readonly socket: Duplex;
  readonly frames: Frame[] = [];
  /** Bytes that are not frames: what came in place of the client's preface. */
  junk = Buffer.alloc(0);
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  acknowledges: boolean;
  opensWindows: boolean;
  onFrame: (frame: Frame) => void = () => {};
  private awaitsPreface: boolean;
  private prefix = Buffer.alloc(0);
  private nextStreamId = 1;
  private block: { frame: Frame; parts: Buffer[] } | undefined;
  private readonly reader = new FrameReader();
  private readonly decoder = new HpackDecoder();
  private readonly waiting = new Set<() => void>();

  constructor(socket: Duplex, role: 'client' | 'server', options: PeerOptions = {}) {
    this.socket = socket;
    this.acknowledges = options.acknowledges ?? true;
    this.opensWindows = options.opensWindows ?? true;
    this.awaitsPreface = role === 'server';
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    socket.on('error', (error) => {
      this.error = error;
      this.wake();
    });
    socket.on('close', () => {
      this.closed = true;
      this.wake();
    });
    if (options.settings === null) return;
    if (role === 'client') this.write(PREFACE);
    this.write(settings(options.settings));
  }

  /** A client of a port of the loopback. */
  static connect(port: number, options: PeerOptions = {}): Promise<Http2Peer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Http2Peer(socket, 'client', options));
      });
    });
  }

  /** Bytes, in one write. Writing after the end of the connection does nothing. */
  write(...frames: Buffer[]): void {
    if (this.socket.writable) this.socket.write(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames));
  }

  /** Writes, and waits until the kernel took it, or the connection has ended. */
  async send(...frames: Buffer[]): Promise<void> {
    this.write(...frames);
    if (!this.socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.socket.off('drain', done).off('close', done);
        resolve();
      };
      this.socket.on('drain', done).on('close', done);
    });
  }

  /** Stops reading: the kernel's buffers fill, then the other side's. */
  stopReading(): void {
    this.socket.pause();
  }

  /** The id of a new stream of this side. */
  streamId(): number {
    const id = this.nextStreamId;
    this.nextStreamId += 2;
    return id;
  }

  /** Sends a request without a body; its stream's id. */
  request(request: RequestFields = {}, endStream = true): number {
    const id = this.streamId();
    const flags = FLAG.END_HEADERS | (endStream ? FLAG.END_STREAM : 0);
    this.write(frame(TYPE.HEADERS, flags, id, requestBlock(request)));
    return id;
  }

  /** A request and its response. */
  ask(request: RequestFields = {}, timeoutMs?: number): Promise<Message> {
    return this.message(this.request(request), timeoutMs);
  }

  /** Waits for a frame, those that have come before included. @throws Error when the connection ends first */
  async frame(what: string, match: (frame: Frame) => boolean, timeoutMs = 5000): Promise<Frame> {
    let seen = 0;
    let found: Frame | undefined;
    await this.until(
      what,
      () => {
        while (found === undefined && seen < this.frames.length) {
          const frame = this.frames[seen++] as Frame;
          if (match(frame)) found = frame;
        }
        return found !== undefined || this.ended || this.closed;
      },
      timeoutMs,
    );
    if (found === undefined) throw new Error(`the connection ended before ${what}: ${this.describe()}`);
    return found;
  }

  /** Waits for the other side's message on the stream: until its end, or a reset. */
  async message(streamId: number, timeoutMs = 5000): Promise<Message> {
    await this.frame(
      `the end of stream ${streamId}`,
      (frame) => frame.streamId === streamId && (frame.type === TYPE.RST_STREAM || endsStream(frame)),
      timeoutMs,
    );
    return this.soFar(streamId);
  }

  /** What has come on a stream. */
  soFar(streamId: number): Message {
    const own = this.frames.filter((frame) => frame.streamId === streamId);
    const interim: number[] = [];
    let fields: Fields | undefined;
    let trailers: Fields | undefined;
    for (const { type, fields: block = [] } of own) {
      if (type !== TYPE.HEADERS) continue;
      const status = Number(block.find(([name]) => name === ':status')?.[1] ?? 0);
      if (fields === undefined && status >= 100 && status < 200) interim.push(status);
      else if (fields === undefined) fields = block;
      else trailers = block;
    }
    const body = Buffer.concat(own.filter(({ type }) => type === TYPE.DATA).map(contentOf));
    const reset = own.find(({ type }) => type === TYPE.RST_STREAM);
    const headers = Object.fromEntries(fields ?? []);
    return {
      fields: fields ?? [],
      status: Number(headers[':status'] ?? 0),
      headers,
      interim,
      body,
      trailers,
      reset: reset === undefined ? undefined : codeOf(reset),
    };
  }

  /** Waits for GOAWAY with an error, and gives its code. */
  async goAwayCode(timeoutMs?: number): Promise<number> {
    const isError = (frame: Frame): boolean => frame.type === TYPE.GOAWAY && codeOf(frame) !== CODE.NO_ERROR;
    return codeOf(await this.frame('GOAWAY with an error', isError, timeoutMs));
  }

  /** A PING there and back: everything sent before it has been read. */
  async roundTrip(timeoutMs?: number): Promise<void> {
    const opaque = Buffer.from(String(this.frames.length).padStart(8, '0'));
    this.write(ping(opaque));
    const isEcho = (frame: Frame): boolean => frame.type === TYPE.PING && isAck(frame) && frame.payload.equals(opaque);
    await this.frame('the PING’s acknowledgement', isEcho, timeoutMs);
  }

  /** Waits until the other side has ended the connection. */
  untilClosed(timeoutMs?: number): Promise<void> {
    return this.until('the end of the connection', () => this.ended || this.closed, timeoutMs);
  }

  /** @throws Error with the frames so far, after `timeoutMs` */
  async until(what: string, condition: () => boolean, timeoutMs = 5000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${what}: not within ${timeoutMs} ms; ${this.describe()}`);
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, left);
        this.waiting.add(done);
      });
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Ends with a TCP reset where this is a plain socket. */
  cut(): void {
    const socket = this.socket as Partial<Socket>;
    if (socket.resetAndDestroy !== undefined) (this.socket as Socket).resetAndDestroy();
    else this.socket.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** The last frames as text, for messages. */
  describe(): string {
    const last = this.frames.slice(-12).map((frame) => {
      const code = frame.type === TYPE.RST_STREAM || frame.type === TYPE.GOAWAY ? nameOf(CODE, codeOf(frame)) : '';
      return `${nameOf(TYPE, frame.type)}(${frame.streamId})${code === '' ? '' : `:${code}`}`;
    });
    const end = this.error?.code ?? (this.closed ? 'closed' : this.ended ? 'ended' : 'open');
    return `${this.frames.length} frames, the last ${last.join(' ')}; ${end}`;
  }

  private onData(chunk: Buffer): void {
    let bytes = chunk;
    if (this.awaitsPreface) {
      this.prefix = Buffer.concat([this.prefix, bytes]);
      if (this.prefix.length < PREFACE.length) return;
      if (!this.prefix.subarray(0, PREFACE.length).equals(PREFACE)) {
        this.junk = this.prefix;
        this.wake();
        return;
      }
      this.awaitsPreface = false;
      bytes = this.prefix.subarray(PREFACE.length);
    }
    for (const frame of this.reader.push(bytes)) this.accept(frame);
    this.wake();
  }

  private accept(frame: Frame): void {
    if (frame.type === TYPE.HEADERS || frame.type === TYPE.PUSH_PROMISE) {
      this.block = { frame, parts: [contentOf(frame)] };
    } else if (frame.type === TYPE.CONTINUATION) {
      this.block?.parts.push(frame.payload);
    } else {
      this.keep(frame);
      return;
    }
    if (this.block === undefined || (frame.flags & FLAG.END_HEADERS) === 0) return;
    const fields = this.decoder.decode(Buffer.concat(this.block.parts));
    this.keep({ ...this.block.frame, fields });
    this.block = undefined;
  }

  private keep(frame: Frame): void {
    this.frames.push(frame);
    if (this.acknowledges && frame.type === TYPE.SETTINGS && !isAck(frame)) this.write(settingsAck());
    if (this.acknowledges && frame.type === TYPE.PING && !isAck(frame)) this.write(ping(frame.payload, true));
    if (this.opensWindows && frame.type === TYPE.DATA && frame.payload.length > 0) {
      this.write(windowUpdate(0, frame.payload.length));
      if (!endsStream(frame)) this.write(windowUpdate(frame.streamId, frame.payload.length));
    }
    this.onFrame(frame);
  }

  private wake(): void {
    for (const done of [...this.waiting]) done();
  }
}

/** A server that speaks HTTP/2 with prior knowledge. */
export interface Http2TestServer extends TestServer {
  /** One for each connection, in the order of their coming. */
  readonly peers: readonly Http2Peer[];
}

/**
 * Listens on a free port of the loopback.
 * @param onRequest called with a stream's id when the head of its request is in
 */
export async function serveHttp2(
  onRequest: (peer: Http2Peer, streamId: number, request: Frame) => void,
  options: PeerOptions | ((connection: number) => PeerOptions) = {},
): Promise<Http2TestServer> {
  const peers: Http2Peer[] = [];
  const server = await listen((socket) => {
    const peer = new Http2Peer(socket, 'server', typeof options === 'function' ? options(peers.length) : options);
    peers.push(peer);
    const known = new Set<number>();
    peer.onFrame = (frame) => {
      if (frame.type !== TYPE.HEADERS || known.has(frame.streamId)) return;
      known.add(frame.streamId);
      onRequest(peer, frame.streamId, frame);
    };
  });
  return { ...server, peers, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
