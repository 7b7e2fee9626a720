import net, { type Server, type Socket } from 'node:net';
import { acceptWaiting, descriptorOf, listeningDescriptor, socketOf } from '../kernel/accept-queue.ts';
import { bindSocket } from '../kernel/bound-socket.ts';
import { closeDescriptor } from '../kernel/close-descriptor.ts';
import { descriptorLimit } from '../kernel/descriptor-limit.ts';
import { libc } from '../kernel/libc.ts';
import { ipBytes } from '../network/ip.ts';
import type { ConnectionBalance } from './connection-balance.ts';
import { bindsToPort, type ListenerRuntime } from './listener.ts';
import { restoresDestinations } from './listener-filter-loader.ts';
import { PipePath } from './pipe-path.ts';

/** Where a listener listens. */
export interface ListenAddress {
  /** IP address, or the path of a pipe. */
  readonly host: string;
  /** 0 lets the system choose; undefined for a pipe. */
  readonly port: number | undefined;
}

/** From so many open connections on, a turn of the event loop may be long enough for others to queue up. */
const BUSY_CONNECTIONS = 16;
/** Connections taken at once, so that those which are open are not kept waiting either. */
const MAX_ACCEPTED_AT_ONCE = 64;
/** Enough to empty a queue for good, unless somebody fills it faster than it is emptied. */
const MAX_ACCEPTED_AT_CLOSE = 8192;

/** So long nothing is accepted when descriptors have run out. */
const SHORTAGE_PAUSE_MS = 100;
/** What several threads leave free, for upstreams and for what they accept at the same time; less where there are few. */
const SPARE_DESCRIPTORS = 16;

/** What listens at one address already, bound by another process that hands it over. */
export interface InheritedSocket {
  /** Where it really listens, for addresses whose port the system chose. */
  readonly port: number;
  /** All of them must be accepted from; several where several threads shared the address. None: share it with others. */
  readonly descriptors: readonly number[];
  /** True where they stay open whatever comes of it, and copies are listened at. */
  readonly isBorrowed?: boolean;
}

/** A listening socket. It outlives the configurations of its listener: a new one takes over new connections. */
export class ListenerSocket {
  readonly address: ListenAddress;
  current: ListenerRuntime;
  private readonly server: Server;
  /** Listen at the same address; they were taken over. */
  private readonly others: Server[] = [];
  /** Not accepted from before `open`: until then they are served by whom they come from. */
  private inherited: readonly number[] = [];
  private isBorrowed = false;
  private readonly pipe: PipePath | undefined;
  /** Connections that came before `open`. */
  private early: Socket[] | undefined = [];
  private listenAtOpen: (() => void) | undefined = undefined;
  /** In a worker thread: told which descriptors stay open when the thread crashes, and when they are closed. */
  onKept: ((descriptors: readonly number[]) => void) | undefined = undefined;
  private kept: readonly number[] = [];
  /** Of the queues in which connections wait while none is accepted, and where that is. */
  private waiting: readonly number[] = [];
  /** Set while nothing is accepted for lack of descriptors; connections wait in the queues of `kept`. */
  private pause: NodeJS.Timeout | undefined = undefined;
  private isHeldBack = false;
  /** A connection with this descriptor, or a higher one, is one of the last that the process has room for. */
  private pauseFrom = Number.POSITIVE_INFINITY;
  /** So many have to be free for it to accept again. */
  private spare = 0;
  private waitingAt: { readonly address: string; readonly port: number } | undefined = undefined;
  /** In a worker thread: who serves a connection where the listener's connections are balanced. */
  balance: ConnectionBalance | undefined = undefined;

  /** False for the threads that get the connections of a pipe from another thread. */
  private readonly accepts: boolean;

  /** @throws Error where the path of a pipe cannot be had */
  constructor(address: ListenAddress, runtime: ListenerRuntime, accepts = true) {
    this.address = address;
    this.current = runtime;
    this.accepts = accepts;
    this.pipe = address.port === undefined && accepts ? new PipePath(address.host) : undefined;
    this.server = this.createServer();
  }

  private createServer(): Server {
    const options = { pauseOnConnect: true, noDelay: true, allowHalfOpen: true };
    const server = net.createServer(options, (socket) => {
      this.take(socket);
      if (this.current.activeConnections >= BUSY_CONNECTIONS) acceptWaiting(server, MAX_ACCEPTED_AT_ONCE, this.take);
    });
    return server;
  }

  private readonly take = (socket: Socket): void => {
    // The lowest free number is given: those below it are taken.
    if (descriptorOf(socket) >= this.pauseFrom) this.pauseAccepting();
    if (this.early !== undefined) this.early.push(socket);
    else if (this.isMine(socket)) this.current.accept(socket);
  };

  private isMine(socket: Socket): boolean {
    // A pipe has one socket: who accepts shares out.
    const isPipe = this.address.port === undefined;
    if (!isPipe && this.current.config.connection_balance_config?.exact_balance === undefined) return true;
    return this.balance?.keeps(socket) !== false;
  }

  /** A connection that another thread has accepted, and that is counted for this one. */
  adopt(fd: number): void {
    const socket = socketOf(fd);
    this.balance?.serve(socket);
    if (this.early === undefined) this.current.accept(socket);
    else this.early.push(socket);
  }

  /** Serves from here on: everything that the listener's configuration speaks of is there. @throws Error without descriptors */
  open(): void {
    const early = this.early ?? [];
    this.early = undefined;
    for (const socket of early) this.take(socket);
    this.listenAtOpen?.();
    this.listenAtOpen = undefined;
    const { inherited, server } = this;
    this.inherited = [];
    for (const [index, fd] of inherited.entries()) {
      const taking = index === 0 ? server : this.createServer();
      if (taking !== server) this.others.push(taking);
      taking.on('error', () => {});
      taking.listen({ fd: this.isBorrowed ? copyOf(fd) : fd }, this.backlog);
    }
    this.keep();
  }

  /** The kernel resets what waits in a queue when its last descriptor is closed: this one survives its thread. */
  private keep(): void {
    if (this.onKept === undefined) return;
    const c = libc();
    this.kept =
      c === undefined
        ? []
        : this.descriptors()
            .map((fd) => c.dup(fd))
            .filter((fd) => fd >= 0);
    this.onKept(this.kept);
    const newest = this.kept.at(-1);
    const limit = descriptorLimit();
    if (newest === undefined || limit === Number.POSITIVE_INFINITY) return;
    this.spare = Math.max(0, Math.min(SPARE_DESCRIPTORS, Math.floor((limit - newest) / 4)));
    this.pauseFrom = limit - this.spare;
  }

  /**
   * libuv has a descriptor in reserve for each loop, to take and close a connection for which there is none. Between the
   * two, another thread may get it; then the connection stays, and the loop turns without end, which nobody is told.
   * So a thread that is one of several stops before.
   */
  private pauseAccepting(): void {
    const servers = [this.server, ...this.others];
    if (this.pause !== undefined || this.waiting.length > 0 || this.kept.length !== servers.length) return;
    this.waitingAt = this.bound();
    for (const server of servers) server.close();
    this.pause = setTimeout(this.afterPause, SHORTAGE_PAUSE_MS);
  }

  private readonly afterPause = (): void => {
    const { kept } = this;
    // Numbers say nothing here: those of closed servers are low and free.
    const free = this.isHeldBack ? [] : copiesOf([...kept, ...Array<number>(this.spare).fill(kept[0] as number)]);
    for (const fd of free.slice(kept.length)) closeDescriptor(fd);
    if (free.length === 0) {
      this.pause?.refresh();
      return;
    }
    this.pause = undefined;
    this.listenAt(free.slice(0, kept.length));
  };

  private listenAt(descriptors: readonly number[]): void {
    const servers = [this.server, ...this.others];
    for (const [index, fd] of descriptors.entries()) servers[index]?.listen({ fd }, this.backlog);
  }

  /** Accepts nothing until `acceptAgain`: connections wait in the kernel's queue. Not possible without libc. */
  holdBack(): void {
    this.isHeldBack = true;
    if (this.early !== undefined || this.waiting.length > 0 || this.pause !== undefined) return;
    const copies = copiesOf(this.descriptors());
    // Without descriptors nothing is accepted anyway, and to close the last one of a queue would refuse clients for good.
    if (copies.length === 0) return;
    this.waitingAt = this.bound();
    this.waiting = copies;
    for (const server of [this.server, ...this.others]) server.close();
  }

  acceptAgain(): void {
    this.isHeldBack = false;
    this.listenAt(this.waiting);
    this.waiting = [];
  }

  private get backlog(): number {
    return this.current.config.tcp_backlog_size ?? 4096;
  }

  /** Binds, or takes over what is bound. @throws the system's error, with the address in its text */
  async listen(threaded: boolean, inherited?: InheritedSocket): Promise<void> {
    if (inherited !== undefined && inherited.descriptors.length > 0) {
      this.inherited = inherited.descriptors;
      this.isBorrowed = inherited.isBorrowed === true;
      this.pipe?.adopt();
      return;
    }
    if (!this.isBound) return Promise.resolve();
    await this.pipe?.refuseServed();
    const { host, port } = this.address;
    const { backlog } = this;
    const { config } = this.current;
    const { enable_reuse_port: wanted = config.reuse_port } = config;
    // Alone, a proxy leaves its ports to nobody else unless it is told to: two of them would share clients unawares.
    const reusePort = wanted ?? threaded;
    // Not net.isIPv6: compiling its regular expression takes 3 ms of the start.
    const ipv6Only = host.includes(':') && !this.takesIpv4;
    const { transparent, freebind } = config;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(error);
      const onListening = (): void => {
        this.server.off('error', onError);
        // Running out of descriptors, for one, is no reason to die: the connection waits in the kernel's queue.
        this.server.on('error', () => {});
        try {
          this.pipe?.publish(config.address.pipe?.mode ?? 0);
          resolve();
        } catch (error) {
          reject(error as Error);
        }
      };
      this.server.once('error', onError);
      if (this.pipe !== undefined) {
        this.server.listen({ path: this.pipe.staging, backlog }, onListening);
      } else if (net.BoundSocket === undefined || net.isIP(host) === 0) {
        this.server.listen({ host, port, backlog, ipv6Only, ...(reusePort ? { reusePort } : {}) }, onListening);
      } else {
        // `listen` would look the address up as if it were a name, which costs the start 10 ms and a thread.
        const bound =
          transparent || freebind
            ? { fd: bindSocket({ host: ipBytes(host), port: port ?? 0, reusePort, ipv6Only, transparent, freebind }) }
            : new net.BoundSocket({ host, port: port ?? 0, reusePort, ipv6Only });
        if (inherited === undefined) {
          this.server.listen(bound, backlog, onListening);
        } else {
          // From the moment when it listens, it gets its share of connections that are another process's as yet.
          this.listenAtOpen = () => void this.server.listen(bound, backlog, onListening);
          resolve();
        }
      }
    });
  }

  /** Whether it has a socket of its own; else connections come from other listeners alone (`bind_to_port: false`). */
  get isBound(): boolean {
    return this.accepts && bindsToPort(this.current.config);
  }

  /** Whether an IPv6 address takes clients of IPv4, too. */
  get takesIpv4(): boolean {
    return this.current.config.address.socket_address?.ipv4_compat === true;
  }

  /** Whether its connections are told where their clients wanted to go. */
  get restoresDestinations(): boolean {
    return restoresDestinations(this.current.config);
  }

  /** Where it really listens. */
  bound(): { readonly address: string; readonly port: number } {
    const bound = this.server.address();
    const isWaiting = this.waiting.length > 0 || this.pause !== undefined;
    if (isWaiting && this.waitingAt !== undefined) return this.waitingAt;
    if (bound === null || typeof bound === 'string')
      return { address: this.address.host, port: this.address.port ?? 0 };
    return { address: bound.address, port: bound.port };
  }

  /** Descriptors of the sockets that listen. They stay this one's. */
  descriptors(): number[] {
    if (this.waiting.length > 0) return [...this.waiting];
    if (this.pause !== undefined) return [...this.kept];
    return [this.server, ...this.others].map(listeningDescriptor).filter((fd) => fd >= 0);
  }

  /**
   * Accepts no more; connections that were accepted go on. So do those in the queue, which the kernel would reset,
   * unless another process has the queue (`handedOver`).
   */
  close(handedOver = false): void {
    this.pauseFrom = Number.POSITIVE_INFINITY;
    clearTimeout(this.pause);
    this.pause = undefined;
    if (this.kept.length > 0) this.onKept?.([]);
    for (const fd of this.kept) closeDescriptor(fd);
    this.kept = [];
    for (const fd of this.waiting) closeDescriptor(fd);
    this.waiting = [];
    for (const server of [this.server, ...this.others]) {
      if (this.early === undefined && !handedOver) acceptWaiting(server, MAX_ACCEPTED_AT_CLOSE, this.take);
      server.close();
    }
    for (const socket of this.early ?? []) socket.destroy();
    if (!this.isBorrowed) for (const fd of this.inherited) closeDescriptor(fd);
    this.inherited = [];
    if (handedOver) this.pipe?.leave();
    else this.pipe?.remove();
  }
}

/** Copies of all of them, or none where there are not descriptors enough or libc cannot be reached. */
function copiesOf(descriptors: readonly number[]): readonly number[] {
  const c = libc();
  const copies: number[] = [];
  for (const fd of descriptors) {
    const copy = c?.dup(fd) ?? -1;
    if (copy >= 0) copies.push(copy);
  }
  if (copies.length === descriptors.length) return copies;
  for (const fd of copies) closeDescriptor(fd);
  return [];
}

/** @throws Error where the process has no descriptor left */
function copyOf(fd: number): number {
  const [copy] = copiesOf([fd]);
  if (copy === undefined) throw new Error('EMFILE: no descriptor for a copy of a listening socket');
  return copy;
}
