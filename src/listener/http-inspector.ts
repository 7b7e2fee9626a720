import type { Counter, StatsScope } from '../observe/stats.ts';
import { HttpFirstLine, type HttpProtocol, MAX_FIRST_LINE_BYTES } from './http-first-line.ts';
import type { DataVerdict, IncomingConnection, ListenerFilter } from './listener-filters.ts';

/** Finds out which HTTP a connection speaks, for chains with `application_protocols`. Its bytes stay where they are. */
export class HttpInspector implements ListenerFilter {
  readonly isInspector = true;
  private readonly found: Readonly<Record<HttpProtocol, Counter>>;
  private readonly notFound: Counter;
  private readonly readError: Counter;
  /** Of connections that have not said enough yet. */
  private readonly lines = new WeakMap<IncomingConnection, HttpFirstLine>();

  /** @param scope the listener's */
  constructor(scope: StatsScope) {
    const own = scope.scope('http_inspector');
    this.found = {
      'http/1.0': own.counter('http10_found'),
      'http/1.1': own.counter('http11_found'),
      h2c: own.counter('http2_found'),
    };
    this.notFound = own.counter('http_not_found');
    this.readError = own.counter('read_error');
  }

  onData(incoming: IncomingConnection, bytes: Buffer): DataVerdict {
    // What TLS protects says what it is by ALPN.
    if (incoming.first.transport === 'tls') return undefined;
    const line = this.lines.get(incoming) ?? new HttpFirstLine();
    const protocol = line.read(bytes);
    if (protocol === undefined) {
      this.lines.set(incoming, line);
      return bytes.length + 1;
    }
    if (protocol !== 'other') {
      this.found[protocol].inc();
      incoming.first = { ...incoming.first, alpn: [protocol] };
      return undefined;
    }
    if (bytes.length >= MAX_FIRST_LINE_BYTES && line.isEndless) {
      this.readError.inc();
      return 'close';
    }
    this.notFound.inc();
    return undefined;
  }
}
