import { once } from 'node:events';
import { createServer } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { Load } from './load.ts';

/** An app of every protocol: HTTP/1.1 that answers with the path, WebSocket-like upgrades and TCP that echo. */
export interface EchoApp extends AsyncDisposable {
  readonly httpPort: number;
  readonly tcpPort: number;
}

export async function startEchoApp(): Promise<EchoApp> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  const http = createServer({ keepAliveTimeout: 0 }, (request, response) => response.end(`path ${request.url}`));
  http.on('connection', track);
  http.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  const tcp = createTcpServer({ noDelay: true }, (socket) => {
    track(socket);
    socket.pipe(socket);
  });
  for (const server of [http, tcp]) {
    server.listen(0, '127.0.0.1', 4096);
    await once(server, 'listening');
  }
  return {
    httpPort: (http.address() as AddressInfo).port,
    tcpPort: (tcp.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      http.close();
      tcp.close();
    },
  };
}

const UPGRADE = 'GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

/** Words sent over one connection before its client ends it. */
const WORDS_PER_CONNECTION = 20;

/** A connection whose other end echoes, over TCP or after an upgrade. */
class EchoConnection {
  private readonly socket: Socket;
  private text = '';
  private wake: () => void = () => {};
  private gone: string | undefined;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.wake();
    });
    const onGone = (why: string): void => {
      this.gone ??= why;
      this.wake();
    };
    this.socket.on('error', (error: NodeJS.ErrnoException) => onGone(error.code ?? error.message));
    this.socket.on('end', () => onGone('ended'));
    this.socket.on('close', () => onGone('closed'));
  }

  async upgrade(): Promise<void> {
    this.socket.write(UPGRADE);
    const answer = await this.until('\r\n\r\n');
    if (!answer.startsWith('HTTP/1.1 101')) throw new Error(`upgrade answered ${answer.slice(0, 40)}`);
  }

  async echo(word: string): Promise<void> {
    this.socket.write(`${word}\n`);
    const answer = await this.until('\n');
    if (answer !== `${word}\n`) throw new Error(`${word} came back as ${JSON.stringify(answer)}`);
  }

  private async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.text.indexOf(mark);
      if (at >= 0) {
        const found = this.text.slice(0, at + mark.length);
        this.text = this.text.slice(at + mark.length);
        return found;
      }
      if (this.gone !== undefined) throw new Error(this.gone);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  end(): void {
    this.socket.destroy();
  }
}

/** Runs until it is stopped; counts what went well, and says what did not. */
export class Loop {
  ok = 0;
  readonly failures: string[] = [];
  private running = true;
  private readonly done: Promise<void>;
  private readonly end: () => void;

  constructor(step: (loop: Loop) => Promise<void>, end: () => void = () => {}) {
    this.end = end;
    this.done = (async () => {
      while (this.running) {
        try {
          await step(this);
        } catch (error) {
          this.failures.push((error as Error).message);
        }
      }
    })();
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.done;
    this.end();
  }
}

/** One connection after the other: each is opened, used and ended by its client. */
export function shortConnections(port: number, isUpgraded: boolean): Loop {
  return new Loop(async (loop) => {
    const connection = new EchoConnection(port);
    try {
      if (isUpgraded) await connection.upgrade();
      for (let i = 0; i < WORDS_PER_CONNECTION; i++) {
        await connection.echo(`word ${i}`);
        loop.ok++;
      }
    } finally {
      connection.end();
    }
  });
}

/** One connection that lasts as long as the load: it must survive everything. */
export async function longConnection(port: number, isUpgraded: boolean): Promise<Loop> {
  const connection = new EchoConnection(port);
  if (isUpgraded) await connection.upgrade();
  await connection.echo('begin');
  return new Loop(
    async (loop) => {
      await connection.echo(`word ${loop.ok}`);
      loop.ok++;
      await new Promise((done) => setTimeout(done, 5));
    },
    () => connection.end(),
  );
}

/**
 * HTTP/2 over one connection, four requests at a time, on a new connection when the server announces its end. Node's
 * client reports what it had not sent when the announcement came as refused; nobody has seen it, so it is sent again.
 * Whether the server refused any shows in its `http2.tx_reset`.
 */
export function http2Requests(port: number): Loop {
  let session: ClientHttp2Session | undefined;
  const open = (loop: Loop): ClientHttp2Session => {
    const fresh = connectHttp2(`http://127.0.0.1:${port}`);
    fresh.on('error', (error) => loop.failures.push(`session: ${error.message}`));
    const leave = (): void => {
      if (session === fresh) session = undefined;
    };
    fresh.on('close', leave);
    fresh.on('goaway', () => {
      leave();
      fresh.close();
    });
    return fresh;
  };
  return new Loop(
    async (loop) => {
      session ??= open(loop);
      const current = session;
      const ask = async (n: number): Promise<void> => {
        await request(current, `/h2/${n}`).catch((error: Error) => {
          if (session === current || !error.message.includes('REFUSED_STREAM')) throw error;
          session ??= open(loop);
          return request(session, `/h2/${n}`);
        });
        loop.ok++;
      };
      await Promise.all([1, 2, 3, 4].map(ask));
    },
    () => session?.destroy(),
  );
}

function request(session: ClientHttp2Session, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': path });
    let status = 0;
    let body = '';
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('data', (chunk) => {
      body += chunk;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      if (status === 200 && body === `path ${path}`) resolve();
      else reject(new Error(`stream answered ${status} ${JSON.stringify(body)} (${stream.rstCode})`));
    });
  });
}

export interface LoadPorts {
  /** HTTP/1.1, HTTP/2 and upgrades. */
  readonly http: number;
  /** The same, by a listener that no reload changes. */
  readonly steady: number;
  readonly tcp: number;
}

/** Clients of all protocols at once. A failure is what a client would call one: an end that was not announced, a refusal, a reset. */
export async function startProtocolLoad(
  ports: LoadPorts,
): Promise<Record<string, { ok: number; failures: string[]; stop(): Promise<void> }>> {
  return {
    'HTTP/1.1': new Load(
      ports.http,
      4,
      () => ({ head: 'GET /h1 HTTP/1.1\r\nhost: a\r\n\r\n' }),
      ({ status, body }) => (status === 200 && body === 'path /h1' ? undefined : `${status} ${body}`),
    ),
    'HTTP/2': http2Requests(ports.http),
    'HTTP/2, more': http2Requests(ports.http),
    TCP: shortConnections(ports.tcp, false),
    'TCP, long': await longConnection(ports.tcp, false),
    WebSocket: shortConnections(ports.http, true),
    'WebSocket, long': await longConnection(ports.steady, true),
  };
}
