import type { UpstreamEvents } from '../../http/codec.ts';
import type { Connection } from '../../network/connection.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectFailure, type ConnectTarget } from '../connect.ts';
import type { Endpoint } from '../endpoint.ts';

/** Who makes checks over a client. */
export interface ProbeClientOwner {
  /** The connection takes no further check: the next one opens another. */
  onClientGone(client: ProbeClient): void;
  /** The server gives the connection up for an error of its peer's. */
  onClientRefused(client: ProbeClient): void;
}

/** One HTTP connection, over which one endpoint is checked, one exchange at a time. */
export abstract class ProbeClient implements ConnectEvents {
  protected readonly owner: ProbeClientOwner;
  private readonly attempt: ConnectAttempt;
  /** The exchange that waits for the connection. */
  private waiting: UpstreamEvents | undefined = undefined;
  private connected = false;
  private closed = false;

  constructor(target: ConnectTarget, endpoint: Endpoint, alpn: readonly string[], owner: ProbeClientOwner) {
    this.owner = owner;
    this.attempt = new ConnectAttempt(target, endpoint, this, alpn);
  }

  protected abstract adopt(connection: Connection): void;
  protected abstract begin(events: UpstreamEvents): void;
  protected abstract destroy(): void;

  /** `onUpstreamReady` is called, at once or when the connection is there, or `onUpstreamReset`. */
  exchange(events: UpstreamEvents): void {
    if (this.connected) this.begin(events);
    else this.waiting = events;
  }

  onConnected(connection: Connection): void {
    this.connected = true;
    this.adopt(connection);
    const { waiting } = this;
    this.waiting = undefined;
    if (waiting !== undefined) this.begin(waiting);
  }

  onConnectFailure(failure: ConnectFailure): void {
    const { waiting } = this;
    this.waiting = undefined;
    this.gone();
    waiting?.onUpstreamReset('connection_failure', failure.reason, false);
  }

  /** Ends the connection; nothing is called any more. An exchange on it must have been given up before. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.waiting = undefined;
    if (this.connected) this.destroy();
    else this.attempt.cancel();
  }

  protected gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.owner.onClientGone(this);
  }

  // The codec takes the handler's place as soon as the connection stands.
  onData(): void {}
  onEnd(): void {}
  onDrain(): void {}
  onClose(): void {}
}
