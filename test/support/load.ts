import { connect, type Socket } from 'node:net';

/** What came back for one request. */
export interface LoadAnswer {
  readonly status: number;
  readonly body: string;
  readonly closes: boolean;
}

/** A keep-alive HTTP/1.1 client of a load: one request after the other, on a new connection when the server asks for one. */
export class LoadClient {
  connections = 0;
  private readonly port: number;
  private socket: Socket | undefined;
  private text = '';
  private wake: (() => void) | undefined;
  private gone: string | undefined;

  constructor(port: number) {
    this.port = port;
  }

  /** @throws Error when the connection ends, or is refused, before the whole answer has come */
  async exchange(head: string, body = ''): Promise<LoadAnswer> {
    if (this.socket === undefined) await this.connect();
    (this.socket as Socket).write(head + body, 'latin1');
    const answer = await this.answer();
    if (answer.closes) this.close();
    return answer;
  }

  private connect(): Promise<void> {
    this.text = '';
    this.gone = undefined;
    this.connections++;
    return new Promise((resolve, reject) => {
      const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
      this.socket = socket;
      socket.once('connect', resolve);
      socket.on('data', (chunk) => {
        this.text += chunk.toString('latin1');
        this.wake?.();
      });
      const onGone = (why: string): void => {
        if (this.socket !== socket) return;
        this.gone ??= why;
        this.wake?.();
        reject(new Error(why));
      };
      socket.on('error', (error: NodeJS.ErrnoException) => onGone(error.code ?? error.message));
      socket.on('end', () => onGone('ended'));
      socket.on('close', () => onGone('closed'));
    });
  }

  private async answer(): Promise<LoadAnswer> {
    for (;;) {
      const answer = this.parse();
      if (answer !== undefined) return answer;
      if (this.gone !== undefined) {
        const why = `${this.gone} after ${JSON.stringify(this.text.slice(0, 80))}`;
        this.close();
        throw new Error(why);
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private parse(): LoadAnswer | undefined {
    const headEnd = this.text.indexOf('\r\n\r\n');
    if (headEnd < 0) return undefined;
    const head = this.text.slice(0, headEnd + 2).toLowerCase();
    const length = /\ncontent-length: (\d+)\r/.exec(head)?.[1];
    let body: string | undefined;
    let end = headEnd + 4;
    if (length !== undefined) {
      end += Number(length);
      if (this.text.length < end) return undefined;
      body = this.text.slice(headEnd + 4, end);
    } else {
      const chunks = readChunks(this.text, end);
      if (chunks === undefined) return undefined;
      ({ body, end } = chunks);
    }
    this.text = this.text.slice(end);
    return { status: Number(head.slice(9, 12)), body, closes: head.includes('\nconnection: close\r') };
  }

  close(): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.destroy();
  }
}

function readChunks(text: string, from: number): { body: string; end: number } | undefined {
  let body = '';
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (text.length < next) return undefined;
    if (size === 0) return { body, end: next };
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    at = next;
  }
}

/** Several clients that ask without a pause until they are stopped. */
export class Load {
  ok = 0;
  readonly failures: string[] = [];
  readonly clients: LoadClient[];
  private readonly done: Promise<void>[];
  private running = true;

  /** `judge` says what is wrong with an answer, or undefined. */
  constructor(
    port: number,
    clients: number,
    request: () => { head: string; body?: string },
    judge: (answer: LoadAnswer) => string | undefined,
  ) {
    this.clients = Array.from({ length: clients }, () => new LoadClient(port));
    this.done = this.clients.map(async (client) => {
      while (this.running) {
        try {
          const { head, body } = request();
          const wrong = judge(await client.exchange(head, body));
          if (wrong === undefined) this.ok++;
          else this.failures.push(wrong);
        } catch (error) {
          this.failures.push((error as Error).message);
        }
      }
      client.close();
    });
  }

  get connections(): number {
    return this.clients.reduce((sum, client) => sum + client.connections, 0);
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.done);
  }
}
