import {
  createServer as createHttp,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttp2, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';

/** What a check looked like to its server. */
export interface SeenRequest {
  readonly line: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that is checked, and what it saw. */
export interface CheckedServer extends AsyncDisposable {
  readonly port: number;
  readonly seen: SeenRequest[];
  /** Open ones. */
  readonly sockets: readonly Socket[];
  /** Calls with each connection from now on. */
  onConnection(listener: () => void): void;
}

async function listening(server: Server, seen: SeenRequest[] = []): Promise<CheckedServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    get sockets() {
      return [...sockets];
    },
    onConnection: (listener) => void server.on('connection', listener),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What a server does with a request, whose body is there. */
type Answer<Request, Response> = (request: Request, response: Response, body: string) => void;

function recorder<Request extends IncomingMessage | Http2ServerRequest, Response>(
  seen: SeenRequest[],
  answer: Answer<Request, Response>,
) {
  return (request: Request, response: Response): void => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body });
      answer(request, response, body);
    });
    request.on('error', () => {});
  };
}

export function httpServer(answer: Answer<IncomingMessage, ServerResponse>): Promise<CheckedServer> {
  const seen: SeenRequest[] = [];
  return listening(createHttp(recorder(seen, answer)), seen);
}

export function http2Server(answer: Answer<Http2ServerRequest, Http2ServerResponse>): Promise<CheckedServer> {
  const seen: SeenRequest[] = [];
  return listening(createHttp2(recorder(seen, answer)) as unknown as Server, seen);
}

export function tcpServer(onConnection: (socket: Socket) => void): Promise<CheckedServer> {
  return listening(createTcp(onConnection));
}

/** Field 1, an enum: SERVING is 1, NOT_SERVING 2. */
const status = (number: number): Buffer => Buffer.from([0x08, number]);
const same = (bytes: Buffer): Buffer => bytes;
const HEALTH = {
  Check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
} as const;

/** A gRPC server of `@grpc/grpc-js` with the health service of grpc.health.v1. */
export class GrpcHealthServer implements AsyncDisposable {
  port = 0;
  /** Status by name of the service; one that is missing is NOT_FOUND. */
  readonly statuses = new Map<string, number>([['', 1]]);
  /** Services and metadata of the calls so far. */
  readonly calls: { service: string; metadata: Record<string, unknown>; deadlineMs: number }[] = [];
  private readonly server = new grpc.Server();

  async start(port = 0): Promise<this> {
    this.server.addService(HEALTH, {
      Check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, reply: grpc.sendUnaryData<Buffer>) => {
        const service = call.request.subarray(2).toString();
        const deadline = call.getDeadline();
        const deadlineMs = Number(deadline) - Date.now();
        this.calls.push({ service, metadata: call.metadata.getMap(), deadlineMs });
        const number = this.statuses.get(service);
        if (number === undefined) reply({ code: grpc.status.NOT_FOUND, details: 'unknown service' });
        else reply(null, status(number));
      },
    });
    this.port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return this;
  }

  /** Sends GOAWAY and ends when the calls have. */
  drain(): Promise<void> {
    return new Promise((resolve) => this.server.tryShutdown(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.forceShutdown();
  }
}
