import type { HttpConnectionManager } from '../../config/schema/http-connection-manager.ts';
import type { Connection } from '../../network/connection.ts';
import type { StatsScope } from '../../observe/stats.ts';
import type { ConnectionInfo } from '../../observe/stream-info.ts';
import type { ConnectionManager } from '../connection-manager.ts';
import { type Http2Options, resolveHttp2Options } from './options.ts';
import { Http2ServerConnection } from './server-connection.ts';
import { Http2Stats } from './stats.ts';

/** How a connection manager serves HTTP/2. Loaded with the first connection that speaks it. */
export class Http2Side {
  private readonly options: Http2Options;
  private readonly stats: Http2Stats;

  /** @param root scope of the statistics without a prefix: all listeners count together, as in Envoy */
  constructor(config: HttpConnectionManager, root: StatsScope) {
    this.stats = new Http2Stats(root.scope('http2'));
    this.options = resolveHttp2Options(config.http2_protocol_options, {
      maxHeaderBytes: config.max_request_headers_kb * 1024,
      maxHeaderCount: config.common_http_protocol_options.max_headers_count,
    });
  }

  serve(manager: ConnectionManager, connection: Connection, info: ConnectionInfo): void {
    manager.stats.downstreamCxHttp2Total.inc();
    manager.stats.downstreamCxHttp2Active.inc();
    const server = new Http2ServerConnection(connection, info, manager, this.options, this.stats);
    manager.adopt(server, server);
  }
}
