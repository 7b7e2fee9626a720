import type { Counter, StatsScope } from '../observe/stats.ts';
import { MAX_CLIENT_HELLO_BYTES, readClientHello } from '../tls/client-hello.ts';
import type { DataVerdict, IncomingConnection, ListenerFilter } from './listener-filters.ts';

/** Records that are far smaller than they could be would let a hello go on for long. */
const MAX_INSPECTED_BYTES = 2 * MAX_CLIENT_HELLO_BYTES;

/** Looks for a ClientHello in the first bytes of connections, which stay there for whoever reads next. */
export class TlsInspector implements ListenerFilter {
  readonly isInspector = true;
  private readonly stats: InspectorStats;

  /** @param scope the listener's */
  constructor(scope: StatsScope) {
    this.stats = new InspectorStats(scope.scope('tls_inspector'));
  }

  onData(incoming: IncomingConnection, bytes: Buffer): DataVerdict {
    const { stats } = this;
    const hello = readClientHello(bytes);
    if (typeof hello === 'number') {
      if (hello <= MAX_INSPECTED_BYTES) return hello;
      stats.clientHelloTooLarge.inc();
      return 'close';
    }
    if (hello === 'other') {
      stats.tlsNotFound.inc();
      return undefined;
    }
    stats.tlsFound.inc();
    (hello.serverName === '' ? stats.sniNotFound : stats.sniFound).inc();
    (hello.alpn.length === 0 ? stats.alpnNotFound : stats.alpnFound).inc();
    incoming.first = { transport: 'tls', ...hello };
    return undefined;
  }
}

/** The statistics of the inspector, under Envoy's names. */
class InspectorStats {
  readonly tlsFound: Counter;
  readonly tlsNotFound: Counter;
  readonly alpnFound: Counter;
  readonly alpnNotFound: Counter;
  readonly sniFound: Counter;
  readonly sniNotFound: Counter;
  readonly clientHelloTooLarge: Counter;

  constructor(scope: StatsScope) {
    this.tlsFound = scope.counter('tls_found');
    this.tlsNotFound = scope.counter('tls_not_found');
    this.alpnFound = scope.counter('alpn_found');
    this.alpnNotFound = scope.counter('alpn_not_found');
    this.sniFound = scope.counter('sni_found');
    this.sniNotFound = scope.counter('sni_not_found');
    this.clientHelloTooLarge = scope.counter('client_hello_too_large');
  }
}
