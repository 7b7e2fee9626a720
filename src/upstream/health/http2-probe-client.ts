import { upstreamHttpOptions } from '../../config/schema/upstream-http-options.ts';
import type { UpstreamEvents } from '../../http/codec.ts';
import { Http2ClientConnection, type Http2ClientOwner } from '../../http/http2/client-connection.ts';
import type { Http2Options } from '../../http/http2/options.ts';
import { ERROR } from '../../http/http2/protocol.ts';
import { Http2Stats } from '../../http/http2/stats.ts';
import type { Connection } from '../../network/connection.ts';
import { StatsStore } from '../../observe/stats.ts';
import type { ConnectTarget } from '../connect.ts';
import type { Endpoint } from '../endpoint.ts';
import { resolveClusterHttp2 } from '../http2-pool.ts';
import { ProbeClient, type ProbeClientOwner } from './probe-client.ts';

const HTTP2_ONLY = ['h2'] as const;
const LIMITS = { maxHeaderBytes: 60 * 1024, maxHeaderCount: 100 };
const unseen = new Http2Stats(new StatsStore());

/** A connection that tells why the server gives it up. */
class ProbeConnection extends Http2ClientConnection {
  onErrorGoAway: () => void = () => {};

  override onGoAway(lastStreamId: number, code: number, debug: string): void {
    super.onGoAway(lastStreamId, code, debug);
    if (code !== ERROR.NO_ERROR) this.onErrorGoAway();
  }
}

/** Checks over HTTP/2. */
class Http2ProbeClient extends ProbeClient implements Http2ClientOwner {
  private readonly options: Http2Options;
  private codec: ProbeConnection | undefined = undefined;

  constructor(target: ConnectTarget, endpoint: Endpoint, owner: ProbeClientOwner) {
    super(target, endpoint, HTTP2_ONLY, owner);
    this.options = resolveClusterHttp2(upstreamHttpOptions(target.config).http2, LIMITS);
  }

  protected override adopt(connection: Connection): void {
    this.codec = new ProbeConnection(connection, this, this.options, unseen);
    this.codec.onErrorGoAway = () => this.owner.onClientRefused(this);
  }

  protected override begin(events: UpstreamEvents): void {
    const codec = this.codec as ProbeConnection;
    if (codec.room <= 0) {
      this.gone();
      codec.drain();
      events.onUpstreamReset('overflow', '', false);
      return;
    }
    events.onUpstreamReady(codec.begin(events), codec.exchanges > 1);
  }

  protected override destroy(): void {
    this.codec?.drain();
  }

  /** What runs may finish; the codec then ends the connection. */
  onGoingAway(): void {
    this.gone();
  }

  onConnectionClosed(): void {
    this.gone();
  }

  onExchangeEnd(): void {}
  onLimits(): void {}
  onReset(): void {}
}

export function openClient(target: ConnectTarget, endpoint: Endpoint, owner: ProbeClientOwner): ProbeClient {
  return new Http2ProbeClient(target, endpoint, owner);
}
