import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP server of a test, with the sockets that it accepted. */
export interface TestServer extends AsyncDisposable {
  readonly port: number;
  readonly sockets: readonly Socket[];
  readonly server: Server;
}

/** Listens on a free port of the loopback. */
export async function listen(onConnection: (socket: Socket) => void): Promise<TestServer> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    sockets,
    server,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A client socket that keeps everything it got. */
export class TestClient {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  ended = false;
  closed = false;
  error: NodeJS.ErrnoException | undefined;
  private wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
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
  }

  /** Takes over a socket that is connected, such as one of TLS. */
  static over(socket: Socket): TestClient {
    return new TestClient(socket);
  }

  static connect(port: number, from: { readonly localAddress?: string } = {}): Promise<TestClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true, ...from });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new TestClient(socket));
      });
    });
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  write(data: string | Buffer): void {
    if (typeof data === 'string') this.socket.write(data, 'latin1');
    else this.socket.write(data);
  }

  /** Waits until the condition holds. @throws Error with what was received, after `timeoutMs` */
  async until(condition: (client: this) => boolean, timeoutMs = 5000): Promise<this> {
    const deadline = Date.now() + timeoutMs;
    while (!condition(this)) {
      const left = deadline - Date.now();
      if (left <= 0)
        throw new Error(`waited ${timeoutMs} ms in vain; received ${JSON.stringify(this.text.slice(0, 2000))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return this;
  }

  /** Waits for the text, or for the end of the connection. */
  untilText(text: string, timeoutMs?: number): Promise<this> {
    return this.until((client) => client.text.includes(text), timeoutMs);
  }

  untilClosed(timeoutMs?: number): Promise<this> {
    return this.until((client) => client.ended || client.closed, timeoutMs);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
