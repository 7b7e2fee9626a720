import type { Socket } from 'node:net';
import { TimerEntry, timers } from '../network/timer.ts';
import type { Counter, StatsScope } from '../observe/stats.ts';
import { MAX_CLIENT_HELLO_BYTES, readClientHello } from '../tls/client-hello.ts';
import type { FirstBytes } from './filter-chain-match.ts';

/** Records that are far smaller than they could be would let a hello go on for long. */
const MAX_INSPECTED_BYTES = 2 * MAX_CLIENT_HELLO_BYTES;

const CLEAR_TEXT: FirstBytes = { transport: 'raw_buffer', serverName: '', alpn: [] };

export interface TlsInspectorOptions {
  /** The listener's. */
  readonly scope: StatsScope;
  /** `listener_filters_timeout`; 0 waits for ever. */
  readonly timeoutMs: number;
  /** Whether a connection that says nothing is served all the same, as clear text. */
  readonly continuesOnTimeout: boolean;
}

/** Looks at the first bytes of connections, which stay in the socket for whoever reads next. */
export class TlsInspector {
  readonly options: TlsInspectorOptions;
  readonly stats: InspectorStats;
  private readonly inspections = new Set<Inspection>();

  constructor(options: TlsInspectorOptions) {
    this.options = options;
    this.stats = new InspectorStats(options.scope);
  }

  /** Calls `done` once it is clear what the client speaks; not at all when the connection ends before. */
  inspect(socket: Socket, done: (first: FirstBytes) => void): void {
    const inspection = new Inspection(this, socket, (first) => {
      this.inspections.delete(inspection);
      if (first !== undefined) done(first);
    });
    this.inspections.add(inspection);
  }

  /** Ends the connections that have not said what they speak. */
  closeConnections(): void {
    for (const inspection of [...this.inspections]) inspection.abandon();
  }
}

/** The statistics of the inspector and of the time before a chain is chosen, under Envoy's names. */
class InspectorStats {
  readonly tlsFound: Counter;
  readonly tlsNotFound: Counter;
  readonly alpnFound: Counter;
  readonly alpnNotFound: Counter;
  readonly sniFound: Counter;
  readonly sniNotFound: Counter;
  readonly clientHelloTooLarge: Counter;
  readonly preCxTimeout: Counter;

  constructor(listener: StatsScope) {
    const scope = listener.scope('tls_inspector');
    this.tlsFound = scope.counter('tls_found');
    this.tlsNotFound = scope.counter('tls_not_found');
    this.alpnFound = scope.counter('alpn_found');
    this.alpnNotFound = scope.counter('alpn_not_found');
    this.sniFound = scope.counter('sni_found');
    this.sniNotFound = scope.counter('sni_not_found');
    this.clientHelloTooLarge = scope.counter('client_hello_too_large');
    this.preCxTimeout = listener.counter('downstream_pre_cx_timeout');
  }
}

/** One connection that has not said yet what it speaks. */
class Inspection extends TimerEntry {
  private readonly inspector: TlsInspector;
  private readonly socket: Socket;
  private readonly done: (first: FirstBytes | undefined) => void;
  private readonly chunks: Buffer[] = [];
  private received = 0;
  /** Before so many bytes there is nothing to see. */
  private needed = 1;

  constructor(inspector: TlsInspector, socket: Socket, done: (first: FirstBytes | undefined) => void) {
    super();
    this.inspector = inspector;
    this.socket = socket;
    this.done = done;
    socket.on('readable', this.onReadable);
    socket.once('end', this.onGone);
    socket.once('error', this.onGone);
    socket.once('close', this.onGone);
    const { timeoutMs } = inspector.options;
    if (timeoutMs > 0) timers.start(this, timeoutMs);
  }

  private readonly onReadable = (): void => {
    const chunk = this.socket.read() as Buffer | null;
    if (chunk === null) return;
    this.chunks.push(chunk);
    this.received += chunk.length;
    if (this.received < this.needed) return;
    const { stats } = this.inspector;
    const hello = readClientHello(this.takeChunks());
    if (typeof hello === 'number') {
      this.needed = hello;
      if (hello <= MAX_INSPECTED_BYTES) return;
      stats.clientHelloTooLarge.inc();
      this.abandon();
      return;
    }
    if (hello === 'other') {
      stats.tlsNotFound.inc();
      this.finish(CLEAR_TEXT);
      return;
    }
    stats.tlsFound.inc();
    (hello.serverName === '' ? stats.sniNotFound : stats.sniFound).inc();
    (hello.alpn.length === 0 ? stats.alpnNotFound : stats.alpnFound).inc();
    this.finish({ transport: 'tls', ...hello });
  };

  /** All that has come, in one piece. */
  private takeChunks(): Buffer {
    if (this.chunks.length > 1) this.chunks.splice(0, this.chunks.length, Buffer.concat(this.chunks));
    return this.chunks[0] ?? Buffer.alloc(0);
  }

  private readonly onGone = (): void => this.abandon();

  override onTimeout(): void {
    this.inspector.stats.preCxTimeout.inc();
    if (this.inspector.options.continuesOnTimeout) this.finish(CLEAR_TEXT);
    else this.abandon();
  }

  private finish(first: FirstBytes): void {
    this.release();
    this.socket.off('error', ignore);
    if (this.received > 0) this.socket.unshift(this.takeChunks());
    this.done(first);
  }

  /** Ends the connection. */
  abandon(): void {
    this.release();
    this.socket.destroy();
    this.done(undefined);
  }

  private release(): void {
    timers.cancel(this);
    const { socket } = this;
    socket.off('readable', this.onReadable);
    socket.off('end', this.onGone);
    socket.off('error', this.onGone);
    socket.off('close', this.onGone);
    // Between two owners an error must not end the process.
    socket.on('error', ignore);
  }
}

function ignore(): void {
  // Whoever takes the socket over hears of its end.
}
