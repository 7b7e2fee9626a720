import type { NetworkStream } from '../filter/network.ts';
import { StreamRecord } from '../http/stream-record.ts';
import type { ConnectionInfo, TlsInfo } from '../observe/stream-info.ts';
import type { Connection } from './connection.ts';
import type { EarlyUpstream } from './early-upstream.ts';

let lastId = 0;

/** Both ends of a connection. */
type Ends = Pick<Connection, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'> &
  Pick<ConnectionInfo, 'pipe' | 'direct' | 'directLocal' | 'isRestored' | 'proxyTlvs'>;

/** The facts of an accepted connection, before any TLS handshake. `serverName` is known where a listener filter read it. */
export function connectionInfo(connection: Ends, serverName = ''): ConnectionInfo {
  const { directLocal } = connection;
  return {
    id: ++lastId,
    remoteAddress: unmapped(connection.remoteAddress),
    remotePort: connection.remotePort,
    localAddress: unmapped(connection.localAddress),
    localPort: connection.localPort,
    serverName,
    tls: undefined,
    direct:
      connection.direct === undefined
        ? undefined
        : { remoteAddress: unmapped(connection.direct.remoteAddress), remotePort: connection.direct.remotePort },
    pipe: connection.pipe,
    proxyTlvs: connection.proxyTlvs,
    directLocal:
      directLocal === undefined
        ? undefined
        : { localAddress: unmapped(directLocal.localAddress), localPort: directLocal.localPort },
    isRestored: connection.isRestored,
  };
}

/** `::ffff:10.0.0.1` is 10.0.0.1: what a dual-stack listener shows of an IPv4 peer. */
export function unmapped(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.substring(7) : address;
}

/** One downstream connection as network filters, the TCP proxy and its access log see it. */
export class ConnectionRecord extends StreamRecord implements NetworkStream {
  override readonly request = undefined;
  /** How many filters of its chain the connection has reached: those are told of its end. */
  filtersReached = 0;
  /** A connection to the upstream that was made ahead; the session takes it over. */
  earlyUpstream: EarlyUpstream | undefined = undefined;

  constructor(info: ConnectionInfo) {
    super(info);
    this.startMs = performance.now();
  }

  /** The TLS handshake is over. */
  secured(tls: TlsInfo, serverName: string): void {
    this.connection = { ...this.connection, tls, serverName };
  }
}
