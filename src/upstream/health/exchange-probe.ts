import type { UpstreamCodec, UpstreamEvents } from '../../http/codec.ts';
import { HeaderMap } from '../../http/headers.ts';
import { ResponseHead } from '../../http/message.ts';
import type { ConnectTarget } from '../connect.ts';
import type { Endpoint } from '../endpoint.ts';
import type { Probe, ProbeEvents } from './probe.ts';
import type { ProbeClient, ProbeClientOwner } from './probe-client.ts';
import { probedEndpoint } from './probe-target.ts';

/** Opens a connection of one protocol. */
export type OpenClient = (target: ConnectTarget, endpoint: Endpoint, owner: ProbeClientOwner) => ProbeClient;

export interface ExchangeOptions {
  readonly target: ConnectTarget;
  readonly openClient: OpenClient;
  readonly reuseConnection: boolean;
  /** How much of a response's body is kept. */
  readonly maxBodyBytes: number;
}

/** Checks that are a request and its response: what HTTP and gRPC checks share. */
export abstract class ExchangeProbe implements Probe, UpstreamEvents, ProbeClientOwner {
  readonly upstreamHead = new ResponseHead();
  readonly upstreamTrailers = new HeaderMap();
  protected readonly endpoint: Endpoint;
  protected readonly events: ProbeEvents;
  private readonly options: ExchangeOptions;
  private client: ProbeClient | undefined = undefined;
  private codec: UpstreamCodec | undefined = undefined;
  private isRunning = false;
  private readonly chunks: Buffer[] = [];
  private bodyBytes = 0;

  constructor(endpoint: Endpoint, options: ExchangeOptions, events: ProbeEvents) {
    this.endpoint = endpoint;
    this.options = options;
    this.events = events;
  }

  protected abstract writeRequest(codec: UpstreamCodec): void;
  /** The head of a response is there: false gives the exchange up, which the probe has judged then. */
  protected abstract acceptsHead(): boolean;
  /** The response is complete: tells `events` what it says. */
  protected abstract judge(trailers: HeaderMap | undefined): void;

  begin(): void {
    this.isRunning = true;
    this.upstreamTrailers.reset('');
    this.chunks.length = 0;
    this.bodyBytes = 0;
    const { target, openClient } = this.options;
    this.client ??= openClient(target, probedEndpoint(this.endpoint), this);
    this.client.exchange(this);
  }

  expire(): void {
    this.giveUp();
    this.dropClient();
  }

  close(): void {
    this.expire();
  }

  /** Ends the exchange, whatever becomes of the connection. True when it had one. */
  protected giveUp(): boolean {
    const { codec } = this;
    this.isRunning = false;
    this.codec = undefined;
    codec?.resetStream();
    return codec !== undefined;
  }

  protected dropClient(): void {
    const { client } = this;
    this.client = undefined;
    client?.close();
  }

  protected get isReusing(): boolean {
    return this.options.reuseConnection;
  }

  /** What was kept of the body. */
  protected get body(): Buffer {
    return Buffer.concat(this.chunks);
  }

  // ── from the client ──

  onClientGone(client: ProbeClient): void {
    if (this.client === client) this.client = undefined;
  }

  onClientRefused(client: ProbeClient): void {
    client.close();
    this.onClientGone(client);
    if (!this.isRunning) return;
    this.giveUp();
    this.events.onFail('network', false);
  }

  // ── from the codec ──

  onUpstreamReady(codec: UpstreamCodec): void {
    this.codec = codec;
    this.writeRequest(codec);
  }

  onUpstreamHead(_head: ResponseHead, endStream: boolean): void {
    if (!this.isRunning) return;
    if (endStream) {
      this.complete(undefined);
    } else if (!this.acceptsHead()) {
      this.giveUp();
      if (!this.options.reuseConnection) this.dropClient();
    }
  }

  onUpstreamBody(buffer: Buffer, start: number, end: number): void {
    const stop = Math.min(end, start + this.options.maxBodyBytes - this.bodyBytes);
    if (stop <= start) return;
    this.chunks.push(Buffer.from(buffer.subarray(start, stop)));
    this.bodyBytes += stop - start;
  }

  onUpstreamEnd(trailers: HeaderMap | undefined): void {
    if (this.isRunning) this.complete(trailers);
  }

  private complete(trailers: HeaderMap | undefined): void {
    this.isRunning = false;
    this.codec = undefined;
    if (!this.options.reuseConnection) this.dropClient();
    this.judge(trailers);
  }

  onUpstreamReset(): void {
    if (!this.isRunning) return;
    this.isRunning = false;
    this.codec = undefined;
    if (!this.options.reuseConnection) this.dropClient();
    this.events.onFail('network', false);
  }

  onUpstreamInterim(): void {}
  onUpstreamDrain(): void {}
  onUpstreamCongested(): void {}
}
