import { payloadBytes, type TcpHealthCheck } from '../../config/schema/health-check.ts';
import type { Connection, ConnectionHandler } from '../../network/connection.ts';
import { ConnectAttempt, type ConnectEvents, type ConnectTarget } from '../connect.ts';
import type { Endpoint } from '../endpoint.ts';
import { holdsBlocks } from './payload.ts';
import type { Probe, ProbeEvents } from './probe.ts';
import { probedEndpoint } from './probe-target.ts';

/** What an endpoint may say without a match, before its check fails. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Hears the end of a connection that concerns no check any more. */
const NOBODY: ConnectionHandler = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };

interface TcpCheck {
  readonly target: ConnectTarget;
  readonly send: Buffer | undefined;
  readonly receive: readonly Buffer[];
  readonly reuseConnection: boolean;
}

/** A connection, and what is said on it where that is configured. */
class TcpProbe implements Probe, ConnectEvents {
  private readonly endpoint: Endpoint;
  private readonly check: TcpCheck;
  private readonly events: ProbeEvents;
  private attempt: ConnectAttempt | undefined = undefined;
  private connection: Connection | undefined = undefined;
  private answer: Buffer = Buffer.alloc(0);

  constructor(endpoint: Endpoint, check: TcpCheck, events: ProbeEvents) {
    this.endpoint = endpoint;
    this.check = check;
    this.events = events;
  }

  begin(): void {
    if (this.connection === undefined) {
      this.attempt = new ConnectAttempt(this.check.target, probedEndpoint(this.endpoint), this);
    } else {
      this.send(this.connection);
    }
  }

  private send(connection: Connection): void {
    const { send } = this.check;
    if (send !== undefined) connection.writeCopy(send, 0, send.length);
  }

  expire(): void {
    const { attempt, connection } = this;
    this.attempt = undefined;
    this.connection = undefined;
    this.answer = Buffer.alloc(0);
    attempt?.cancel();
    if (connection === undefined) return;
    connection.handler = NOBODY;
    connection.destroy();
  }

  close(): void {
    this.expire();
  }

  onConnected(connection: Connection): void {
    this.attempt = undefined;
    this.connection = connection;
    if (this.check.receive.length === 0) {
      this.expire();
      this.events.onPass(false);
      return;
    }
    this.send(connection);
    connection.resume();
  }

  onConnectFailure(): void {
    this.attempt = undefined;
    this.events.onFail('network', false);
  }

  onData(buffer: Buffer, length: number): void {
    if (this.connection === undefined) return;
    this.answer = Buffer.concat([this.answer, buffer.subarray(0, length)]);
    if (holdsBlocks(this.answer, this.check.receive)) {
      this.answer = Buffer.alloc(0);
      if (!this.check.reuseConnection) this.expire();
      this.events.onPass(false);
    } else if (this.answer.length > MAX_ANSWER_BYTES) {
      this.expire();
      this.events.onFail('network', false);
    }
  }

  onEnd(): void {
    this.onClose();
  }

  /** Also between two checks: that the endpoint is no more is known at once then. */
  onClose(): void {
    if (this.connection === undefined) return;
    this.expire();
    this.events.onFail('network', false);
  }

  onDrain(): void {}
}

/** Makes the probes of a cluster with `tcp_health_check`. */
export function tcpProbes(config: TcpHealthCheck, target: ConnectTarget, reuseConnection: boolean) {
  const check: TcpCheck = {
    target,
    send: config.send === undefined ? undefined : payloadBytes([config.send])[0],
    receive: payloadBytes(config.receive),
    reuseConnection,
  };
  return (endpoint: Endpoint, events: ProbeEvents): Probe => new TcpProbe(endpoint, check, events);
}
