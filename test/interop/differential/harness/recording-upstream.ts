import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { listen, type TestServer } from '../../../support/sockets.ts';
import { type Answer, OK, type UpstreamStep } from './case.ts';
import { type Message, readMessages } from './message.ts';

/** What came in on one connection. */
export interface UpstreamConnection {
  bytes: string;
  /** Who ended it: the proxy, the answers' own FIN or RST, or nobody yet. */
  fate: 'open' | 'closed' | 'closed here';
}

interface Connection extends UpstreamConnection {
  readonly socket: Socket;
  answered: number;
  busy: boolean;
}

/** A server that keeps every byte that it gets and answers with prepared bytes. */
export class RecordingUpstream implements AsyncDisposable {
  private readonly server: TestServer;
  private answers: readonly Answer[] = [];
  private connections: Connection[] = [];
  private requests = 0;

  private constructor(server: TestServer) {
    this.server = server;
  }

  static async start(): Promise<RecordingUpstream> {
    let accept: (socket: Socket) => void = () => {};
    const upstream = new RecordingUpstream(await listen((socket) => accept(socket)));
    accept = (socket) => upstream.onConnection(socket);
    return upstream;
  }

  get port(): number {
    return this.server.port;
  }

  /** Forgets what came, and answers so from now on. */
  begin(answers: readonly Answer[]): void {
    this.answers = answers;
    this.connections = [];
    this.requests = 0;
  }

  /** What came since `begin`, without connections on which nothing came. */
  get record(): readonly UpstreamConnection[] {
    return this.connections.map(({ bytes, fate }) => ({ bytes, fate }));
  }

  /** Ends all connections and waits until the proxy has let go of them. */
  async finish(): Promise<void> {
    const open = this.connections.filter(({ socket }) => !socket.destroyed);
    await Promise.all(
      open.map(async ({ socket }) => {
        const closed = new Promise((resolve) => socket.once('close', resolve));
        socket.end();
        await Promise.race([closed, sleep(250)]);
        socket.destroy();
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private onConnection(socket: Socket): void {
    const connection: Connection = { socket, bytes: '', fate: 'open', answered: 0, busy: false };
    this.connections.push(connection);
    socket.on('data', (chunk: Buffer) => {
      // A proxy may have opened it between two cases.
      if (!this.connections.includes(connection)) this.connections.push(connection);
      connection.bytes += chunk.toString('latin1');
      void this.answer(connection);
    });
    socket.on('end', () => {
      if (connection.fate === 'open') connection.fate = 'closed';
    });
    socket.on('error', () => {
      if (connection.fate === 'open') connection.fate = 'closed';
    });
    const first = this.answerOf(this.requests);
    if (isStaged(first) && first.at === 'connect') void this.run(connection, first.steps);
  }

  private answerOf(index: number): Answer {
    return this.answers[Math.min(index, this.answers.length - 1)] ?? OK;
  }

  private async answer(connection: Connection): Promise<void> {
    if (connection.busy) return;
    connection.busy = true;
    for (;;) {
      const message = requestsOf(connection.bytes)[connection.answered];
      if (message === undefined) break;
      const answer = this.answerOf(this.requests);
      const early = isStaged(answer) && answer.at === 'head';
      if (!message.complete && !early) break;
      connection.answered++;
      this.requests++;
      await this.run(connection, stepsOf(answer));
    }
    connection.busy = false;
  }

  private async run(connection: Connection, steps: readonly UpstreamStep[]): Promise<void> {
    const { socket } = connection;
    for (const step of steps) {
      if (typeof step === 'number') await sleep(step);
      else if (step === 'FIN' || step === 'RST') {
        if (connection.fate === 'open') connection.fate = 'closed here';
        if (step === 'FIN') socket.end();
        else socket.resetAndDestroy();
      } else socket.write(step, 'latin1');
    }
  }
}

type Staged = Extract<Answer, { at: string }>;

function isStaged(answer: Answer): answer is Staged {
  return typeof answer === 'object' && !Array.isArray(answer);
}

function stepsOf(answer: Answer): readonly UpstreamStep[] {
  if (isStaged(answer)) return answer.at === 'connect' ? [] : answer.steps;
  return typeof answer === 'object' ? answer : [answer];
}

/** The requests in the bytes of one connection; after an upgrade or CONNECT, all the rest is the body. */
export function requestsOf(bytes: string): Message[] {
  return readMessages(bytes, 'request', false, (_index, startLine) =>
    startLine.startsWith('CONNECT ') || /\r\nupgrade:/i.test(bytes) ? 'tunnel' : 'no',
  ).messages;
}
