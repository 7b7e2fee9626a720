import type { UpstreamEvents } from '../../http/codec.ts';
import { Http1ClientConnection, type Http1ClientOwner } from '../../http/http1/client-connection.ts';
import type { Connection } from '../../network/connection.ts';
import type { ConnectTarget } from '../connect.ts';
import type { Endpoint } from '../endpoint.ts';
import { ProbeClient, type ProbeClientOwner } from './probe-client.ts';

const OPTIONS = {
  headLimits: { maxHeaderBytes: 60 * 1024, maxHeaderCount: 100, preserveCase: false },
  enableTrailers: false,
  properCase: false,
};

const HTTP1_ONLY = ['http/1.1'] as const;

/** Checks over HTTP/1.1. */
class Http1ProbeClient extends ProbeClient implements Http1ClientOwner {
  private codec: Http1ClientConnection | undefined = undefined;

  protected override adopt(connection: Connection): void {
    this.codec = new Http1ClientConnection(connection, this, OPTIONS);
  }

  protected override begin(events: UpstreamEvents): void {
    const codec = this.codec as Http1ClientConnection;
    codec.begin(events);
    events.onUpstreamReady(codec, codec.exchanges > 1);
  }

  protected override destroy(): void {
    this.codec?.connection.destroy();
  }

  onExchangeEnd(_codec: Http1ClientConnection, reusable: boolean): void {
    if (!reusable) this.gone();
  }

  onConnectionClosed(): void {
    this.gone();
  }
}

export function openClient(target: ConnectTarget, endpoint: Endpoint, owner: ProbeClientOwner): ProbeClient {
  return new Http1ProbeClient(target, endpoint, HTTP1_ONLY, owner);
}
