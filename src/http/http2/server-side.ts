import type { HttpConnectionManager } from '../../config/schema/http-connection-manager.ts';
import type { Connection } from '../../network/connection.ts';
import type { ConnectionInfo } from '../../observe/stream-info.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import { type Http2Options, resolveHttp2Options } from './options.ts';
import { ProtocolSniffer } from './protocol-sniffer.ts';
import { Http2ServerConnection } from './server-connection.ts';
import { Http2Stats } from './stats.ts';

/** How a connection manager serves HTTP/2, beside or instead of HTTP/1 (`codec_type`). */
export class Http2Side {
  private readonly options: Http2Options;
  private readonly isOnly: boolean;
  private stats: Http2Stats | undefined = undefined;

  constructor(config: HttpConnectionManager) {
    this.isOnly = config.codec_type === 'HTTP2';
    this.options = resolveHttp2Options(config.http2_protocol_options, {
      maxHeaderBytes: config.max_request_headers_kb * 1024,
      maxHeaderCount: config.common_http_protocol_options.max_headers_count,
    });
  }

  /** Serves a connection by what its handshake agreed on, or else by its first bytes. */
  serve(manager: ConnectionManager, connection: Connection, info: ConnectionInfo): void {
    const alpn = info.tls?.alpn;
    if (this.isOnly || alpn === 'h2') this.serveHttp2(manager, connection, info);
    else if (alpn === 'http/1.1') manager.serveHttp1(connection, info);
    else {
      const sniffer = new ProtocolSniffer(connection, info, manager, this);
      manager.adopt(sniffer, sniffer);
    }
  }

  serveHttp2(manager: ConnectionManager, connection: Connection, info: ConnectionInfo): void {
    this.stats ??= new Http2Stats(manager.rootStats.scope('http2'));
    manager.stats.downstreamCxHttp2Total.inc();
    manager.stats.downstreamCxHttp2Active.inc();
    const server = new Http2ServerConnection(connection, info, manager, this.options, this.stats);
    manager.adopt(server, server);
  }
}
