import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { decodeGrpcMessage } from '../../http/grpc/message.ts';
import { GRPC_NAMES } from '../../http/grpc/status.ts';
import { readX509SvidResponse, type WorkloadIdentity } from './workload-message.ts';

const METHOD = '/SpiffeWorkloadAPI/FetchX509SVID';

/** A request message without fields, with its length in front. */
const EMPTY_MESSAGE = Buffer.alloc(5);

/** Identities of one workload fit many times over. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** How long to wait before asking again, when that failed. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

const BACKOFF: Backoff = { firstMs: 1000, mostMs: 30_000 };

/** Hears of a workload's identity. */
export interface WorkloadEvents {
  /** A first one, or one that takes the place of the last. */
  onIdentity(identity: WorkloadIdentity): void;
  /** There is none at the moment, or no new one; asking goes on. */
  onProblem(reason: string): void;
}

/**
 * A client of the SPIFFE Workload API on a Unix socket. The server keeps the call open and sends an answer whenever the
 * identity changes; when the call ends, it is made again, later each time it fails.
 */
export class WorkloadApi {
  private readonly socketPath: string;
  private readonly events: WorkloadEvents;
  private readonly backoff: Backoff;
  private session: ClientHttp2Session | undefined = undefined;
  private retry: NodeJS.Timeout | undefined = undefined;
  private delayMs: number;
  private closed = false;

  constructor(socketPath: string, events: WorkloadEvents, backoff: Backoff = BACKOFF) {
    this.socketPath = socketPath;
    this.events = events;
    this.backoff = backoff;
    this.delayMs = backoff.firstMs;
    void this.call();
  }

  private async call(): Promise<void> {
    this.retry = undefined;
    const { connect } = await import('node:http2');
    if (this.closed) return;
    const socket = connectSocket(this.socketPath);
    const session = connect('http://localhost', { createConnection: () => socket });
    this.session = session;
    let problem: string | undefined;
    session.on('error', (error) => {
      problem = error.message;
    });
    // Once, whatever ended it.
    session.once('close', () => {
      socket.destroy();
      this.again(problem ?? 'the connection was closed');
    });
    const stream = session.request({
      ':method': 'POST',
      ':path': METHOD,
      'content-type': 'application/grpc',
      te: 'trailers',
      // Without it the server answers nobody, so that no web page can ask (Workload API §4).
      'workload.spiffe.io': 'true',
    });
    new AnswerReader(stream, this.onMessage, (reason) => {
      problem ??= reason;
      session.destroy();
    });
    stream.end(EMPTY_MESSAGE);
  }

  private readonly onMessage = (message: Buffer): string | undefined => {
    let identity: WorkloadIdentity;
    try {
      identity = readX509SvidResponse(message);
    } catch (error) {
      return `an answer that cannot be read: ${(error as Error).message}`;
    }
    if (identity.svids.length === 0) return 'an answer without an identity';
    this.delayMs = this.backoff.firstMs;
    this.events.onIdentity(identity);
    return undefined;
  };

  private again(problem: string): void {
    this.session = undefined;
    if (this.closed) return;
    this.events.onProblem(problem);
    // Up to a fifth sooner or later: what lost the same server does not come back at once.
    const delayMs = this.delayMs * (0.8 + 0.4 * Math.random());
    this.delayMs = Math.min(this.delayMs * 2, this.backoff.mostMs);
    this.retry = setTimeout(() => void this.call(), delayMs).unref();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.retry);
    this.session?.destroy();
  }
}

/** Cuts the messages of one call out of its stream. */
class AnswerReader {
  private readonly onMessage: (message: Buffer) => string | undefined;
  private readonly onEnd: (reason: string) => void;
  private rest: Buffer = Buffer.alloc(0);
  private status = '';

  /**
   * @param onMessage says why the call must end, undefined when it goes on.
   * @param onEnd called when nothing more will come; may be called again.
   */
  constructor(
    stream: ClientHttp2Stream,
    onMessage: (message: Buffer) => string | undefined,
    onEnd: (reason: string) => void,
  ) {
    this.onMessage = onMessage;
    this.onEnd = onEnd;
    // A refusal has its status in the only headers that come.
    stream.on('response', (headers) => this.readStatus(headers));
    stream.on('trailers', (headers) => this.readStatus(headers));
    stream.on('data', (chunk: Buffer) => this.read(chunk));
    stream.on('error', (error) => onEnd(error.message));
    stream.once('close', () => onEnd(this.status === '' ? 'the call was ended' : this.status));
  }

  private readStatus(headers: Readonly<Record<string, string | string[] | number | undefined>>): void {
    const status = headers['grpc-status'];
    if (status === undefined) {
      if (headers[':status'] !== undefined && headers[':status'] !== 200) this.status = `HTTP ${headers[':status']}`;
      return;
    }
    const message = decodeGrpcMessage(String(headers['grpc-message'] ?? ''));
    const name = GRPC_NAMES[Number(status)] ?? String(status);
    this.status = message === '' ? name : `${name}: ${message}`;
  }

  private read(chunk: Buffer): void {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    while (this.rest.length >= 5) {
      const length = this.rest.readUInt32BE(1);
      if (this.rest[0] !== 0 || length > MAX_MESSAGE_BYTES) {
        this.onEnd('an answer that is compressed or too long');
        return;
      }
      if (this.rest.length < 5 + length) return;
      const problem = this.onMessage(this.rest.subarray(5, 5 + length));
      this.rest = this.rest.subarray(5 + length);
      if (problem !== undefined) {
        this.onEnd(problem);
        return;
      }
    }
  }
}
