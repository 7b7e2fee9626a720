import type { Socket } from 'node:net';
import type { Listener as ListenerConfig } from '../config/schema/listener.ts';
import type { Tlv } from '../network/proxy-protocol/header.ts';
import { TimerEntry, timers } from '../network/timer.ts';
import type { Counter, Gauge, StatsScope } from '../observe/stats.ts';
import type { LocalEnd } from '../observe/stream-info.ts';
import { type FirstBytes, UNSEEN } from './filter-chain-match.ts';
import type { ListenerDirectory } from './listener-directory.ts';
import { loadListenerFilters } from './listener-filter-loader.ts';

/** A connection whose filter chain is not chosen yet. Listener filters write down what they find out of it. */
export class IncomingConnection {
  readonly socket: Socket;
  /** Both ends as filter chains, policies and logs shall see them; the socket's own until a filter says otherwise. */
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  /** Whether the local end is where the client wanted to go, as a filter has found out: ORIGINAL_DST clusters go there. */
  isRestored = false;
  /** The peer of the socket, where a filter has found out that it stands for another one. */
  direct: { readonly remoteAddress: string; readonly remotePort: number } | undefined = undefined;
  /** Items of a PROXY protocol header that may go on to upstreams. */
  proxyTlvs: readonly Tlv[] | undefined = undefined;
  /** Dynamic metadata of the connection: namespace, key, value. */
  metadata: [namespace: string, key: string, value: unknown][] | undefined = undefined;
  /** The path of the Unix socket that it came to, `@name` for an abstract one; undefined for TCP. */
  pipe: string | undefined = undefined;
  /** Bytes have come from the client, besides those that a filter took out. */
  hasSpoken = false;
  /** What the client speaks. */
  first: FirstBytes = UNSEEN;
  /** Why a filter refused it: a bit of `FLAG`, and words for `%CONNECTION_TERMINATION_DETAILS%`. */
  refusal: { readonly flag: number; readonly details: string } | undefined = undefined;
  /** The socket's own local end, once a filter has said otherwise. */
  directLocal: LocalEnd | undefined = undefined;
  /** Another listener's socket accepted it. */
  wasHandedOver = false;
  /** Bytes that are taken out of the connection when the present hook returns. */
  consumed = 0;

  /** A Unix socket has no addresses. */
  constructor(socket: Socket) {
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = socket.localAddress ?? '';
    this.localPort = socket.localPort ?? 0;
  }

  setMetadata(namespace: string, key: string, value: unknown): void {
    this.metadata ??= [];
    this.metadata.push([namespace, key, value]);
  }

  /** Where the client wanted to go. */
  restoreLocal(address: string, port: number): void {
    const { localAddress, localPort } = this;
    this.directLocal ??= { localAddress, localPort };
    this.localAddress = address;
    this.localPort = port;
    this.isRestored = true;
  }

  /** Nobody after the present filter sees the first `bytes` of those that it was shown. */
  consume(bytes: number): void {
    this.consumed = bytes;
  }
}

/** Undefined goes on to the next filter. A number asks again once so many bytes, more than there are, have come. */
export type DataVerdict = number | 'close' | undefined;

/** Looks at connections before a filter chain is chosen. Both hooks are optional, one after the other they run once. */
export interface ListenerFilter {
  onAccept?(incoming: IncomingConnection): 'close' | undefined;
  /**
   * Sees all bytes that have come, at least one. They stay in the connection unless `incoming.consume` is called. Whoever
   * asks for more has to know a bound.
   */
  onData?(incoming: IncomingConnection, bytes: Buffer): DataVerdict;
  /** It only looks at the bytes: without any, the connection can be served as it would be without the filter. */
  readonly isInspector?: boolean;
}

/** A filter of a listener, and for which of its connections it is left out. */
export interface ConfiguredListenerFilter {
  readonly filter: ListenerFilter;
  readonly isDisabled?: ((incoming: IncomingConnection) => boolean) | undefined;
}

/** Hears what became of a connection: exactly one of the two is called, maybe at once. */
export interface ListenerFilterEvents {
  onAccepted(incoming: IncomingConnection): void;
  /**
   * Nobody has said anything yet, and all filters that are left are inspectors. Until one of the other two is called,
   * `proceed` serves the connection as it is.
   */
  onSilence?(incoming: IncomingConnection, proceed: () => void): void;
  /** The connection has ended, by a filter, its peer or the time limit. */
  onRefused(incoming: IncomingConnection): void;
}

/** The listener filters of a listener, in the order of its configuration. */
export class ListenerFilters {
  readonly filters: readonly ConfiguredListenerFilter[];
  readonly stats: PreConnectionStats;
  /** `listener_filters_timeout`, for all filters together; 0 waits for ever. */
  readonly timeoutMs: number;
  /** Whether a connection that says nothing is served all the same, with what is known of it. */
  readonly continuesOnTimeout: boolean;
  private readonly inspections = new Set<Inspection>();

  constructor(filters: readonly ConfiguredListenerFilter[], config: ListenerConfig, scope: StatsScope) {
    this.filters = filters;
    this.stats = new PreConnectionStats(scope);
    this.timeoutMs = config.listener_filters_timeout;
    this.continuesOnTimeout = config.continue_on_listener_filters_timeout;
  }

  /** Undefined for a listener that needs none: its connections are served at once. */
  static async create(
    config: ListenerConfig,
    scope: StatsScope,
    root: StatsScope,
    directory: ListenerDirectory,
  ): Promise<ListenerFilters | undefined> {
    const filters = await loadListenerFilters(config, scope, root, directory);
    return filters.length === 0 ? undefined : new ListenerFilters(filters, config, scope);
  }

  /** Takes a connection from which nobody reads. */
  run(incoming: IncomingConnection, events: ListenerFilterEvents): void {
    this.stats.preCxActive.inc();
    const inspection = new Inspection(this, incoming, events);
    this.inspections.add(inspection);
    inspection.start();
  }

  over(inspection: Inspection): void {
    this.inspections.delete(inspection);
    this.stats.preCxActive.dec();
  }

  /** Ends the connections that filters still look at. */
  closeConnections(): void {
    for (const inspection of [...this.inspections]) inspection.abandon();
  }
}

/** The statistics of the time before a chain is chosen, under Envoy's names. */
class PreConnectionStats {
  readonly preCxTimeout: Counter;
  readonly preCxActive: Gauge;
  readonly remoteClose: Counter;
  readonly error: Counter;

  constructor(listener: StatsScope) {
    this.preCxTimeout = listener.counter('downstream_pre_cx_timeout');
    this.preCxActive = listener.gauge('downstream_pre_cx_active');
    this.remoteClose = listener.counter('downstream_listener_filter_remote_close');
    this.error = listener.counter('downstream_listener_filter_error');
  }
}

/** One connection on its way through the filters. */
class Inspection extends TimerEntry {
  private readonly owner: ListenerFilters;
  private readonly incoming: IncomingConnection;
  private readonly events: ListenerFilterEvents;
  private chunks: Buffer[] = [];
  private received = 0;
  /** Before so many bytes the present filter sees nothing. */
  private needed = 1;
  /** The present filter, and whether its `onAccept` is behind us. */
  private index = 0;
  private hasEntered = false;
  private listens = false;
  private toldSilence = false;
  private isOver = false;

  constructor(owner: ListenerFilters, incoming: IncomingConnection, events: ListenerFilterEvents) {
    super();
    this.owner = owner;
    this.incoming = incoming;
    this.events = events;
  }

  start(): void {
    this.advance();
  }

  /** Runs filters until one has to wait for bytes, or refuses. */
  private advance(): void {
    const { filters } = this.owner;
    for (let entry = filters[this.index]; entry !== undefined; entry = filters[this.index]) {
      if (this.hasEntered || entry.isDisabled?.(this.incoming) !== true) {
        const verdict = this.ask(entry.filter);
        if (verdict !== undefined) {
          if (verdict === 'close') this.abandon();
          else this.listen();
          return;
        }
      }
      this.index++;
      this.hasEntered = false;
      this.needed = 1;
    }
    this.finish();
  }

  private ask(filter: ListenerFilter): 'close' | 'wait' | undefined {
    if (!this.hasEntered && filter.onAccept?.(this.incoming) === 'close') return 'close';
    this.hasEntered = true;
    if (filter.onData === undefined) return undefined;
    if (this.received < this.needed) return 'wait';
    const verdict = filter.onData(this.incoming, this.takeChunks());
    this.dropConsumed();
    if (typeof verdict !== 'number') return verdict;
    this.needed = verdict;
    return 'wait';
  }

  /** All that has come, in one piece. */
  private takeChunks(): Buffer {
    if (this.chunks.length !== 1) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0] as Buffer;
  }

  private dropConsumed(): void {
    const { consumed } = this.incoming;
    if (consumed === 0) return;
    this.incoming.consumed = 0;
    const rest = this.takeChunks().subarray(consumed);
    this.chunks = rest.length === 0 ? [] : [rest];
    this.received = rest.length;
    // What a proxy says before the client is not the client's.
    this.incoming.hasSpoken = rest.length > 0;
  }

  /** The first time that nothing is left but to look at bytes, of which there are none. */
  private tellSilence(): void {
    if (this.toldSilence || this.events.onSilence === undefined) return;
    if (this.received > 0 || this.incoming.socket.readableLength > 0) return;
    const left = this.owner.filters.slice(this.index);
    if (!left.every(({ filter }) => filter.onData === undefined || filter.isInspector === true)) return;
    this.toldSilence = true;
    this.events.onSilence(this.incoming, () => {
      if (!this.isOver) this.finish();
    });
  }

  private listen(): void {
    this.tellSilence();
    if (this.listens) return;
    this.listens = true;
    const { socket } = this.incoming;
    socket.on('readable', this.onReadable);
    socket.once('end', this.onEnd);
    socket.once('error', this.onError);
    socket.once('close', this.onEnd);
    const { timeoutMs } = this.owner;
    if (timeoutMs > 0) timers.start(this, timeoutMs);
  }

  private readonly onReadable = (): void => {
    const chunk = this.incoming.socket.read() as Buffer | null;
    if (chunk === null) return;
    this.incoming.hasSpoken = true;
    this.chunks.push(chunk);
    this.received += chunk.length;
    if (this.received >= this.needed) this.advance();
  };

  private readonly onEnd = (): void => {
    this.owner.stats.remoteClose.inc();
    this.abandon();
  };

  private readonly onError = (): void => {
    this.owner.stats.error.inc();
    this.abandon();
  };

  override onTimeout(): void {
    this.owner.stats.preCxTimeout.inc();
    if (this.owner.continuesOnTimeout) this.finish();
    else this.abandon();
  }

  private finish(): void {
    this.release();
    const { socket } = this.incoming;
    socket.off('error', ignore);
    if (this.received > 0) socket.unshift(this.takeChunks());
    this.events.onAccepted(this.incoming);
  }

  /** Ends the connection. */
  abandon(): void {
    this.release();
    this.incoming.socket.destroy();
    this.events.onRefused(this.incoming);
  }

  private release(): void {
    this.isOver = true;
    timers.cancel(this);
    this.owner.over(this);
    const { socket } = this.incoming;
    socket.off('readable', this.onReadable);
    socket.off('end', this.onEnd);
    socket.off('error', this.onError);
    socket.off('close', this.onEnd);
    // Between two owners an error must not end the process.
    socket.on('error', ignore);
  }
}

function ignore(): void {
  // Whoever takes the socket over hears of its end.
}
