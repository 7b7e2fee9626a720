import type { ConnectionInfo, StreamInfo, TlsInfo } from '../observe/stream-info.ts';
import type { StreamTrace } from '../observe/tracing/index.ts';
import type { HeaderMap } from './headers.ts';
import type { RequestHead, ResponseHead } from './message.ts';

/**
 * The facts of one stream, in one shape: what logs, `%…%` operators and policies read. See `StreamInfo` for units.
 */
export abstract class StreamRecord implements StreamInfo {
  connection: ConnectionInfo;
  abstract readonly request: RequestHead | undefined;
  response: ResponseHead | undefined = undefined;
  requestTrailers: HeaderMap | undefined = undefined;
  responseTrailers: HeaderMap | undefined = undefined;
  remoteAddress: string;
  startMs = 0;
  requestEndMs = 0;
  upstreamTxBeginMs = 0;
  upstreamTxEndMs = 0;
  upstreamRxBeginMs = 0;
  upstreamRxEndMs = 0;
  downstreamTxBeginMs = 0;
  downstreamTxEndMs = 0;
  endMs = 0;
  bytesReceived = 0;
  bytesSent = 0;
  responseCode = 0;
  responseFlags = 0;
  responseCodeDetails = '';
  connectionTerminationDetails = '';
  upstreamCluster = '';
  upstreamHost = '';
  upstreamLocalAddress = '';
  upstreamTls: TlsInfo | undefined = undefined;
  upstreamTransportFailureReason = '';
  downstreamTransportFailureReason = '';
  upstreamAttemptCount = 0;
  routeName = '';
  virtualHostName = '';
  /** Undefined where nobody is told of traces. */
  trace: StreamTrace | undefined = undefined;
  isTraceable = false;
  readonly slots: unknown[] = [];
  private metadata: Map<string, Map<string, unknown>> | undefined = undefined;
  private filterState: Map<string, unknown> | undefined = undefined;

  constructor(connection: ConnectionInfo) {
    this.connection = connection;
    this.remoteAddress = connection.remoteAddress;
  }

  get startTimeEpochMs(): number {
    return performance.timeOrigin + this.startMs;
  }

  /** Back to the state of a new record, for the next request of the connection. */
  protected clear(): void {
    this.response = undefined;
    this.requestTrailers = undefined;
    this.responseTrailers = undefined;
    this.remoteAddress = this.connection.remoteAddress;
    this.startMs = 0;
    this.requestEndMs = 0;
    this.upstreamTxBeginMs = 0;
    this.upstreamTxEndMs = 0;
    this.upstreamRxBeginMs = 0;
    this.upstreamRxEndMs = 0;
    this.downstreamTxBeginMs = 0;
    this.downstreamTxEndMs = 0;
    this.endMs = 0;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.responseCode = 0;
    this.responseFlags = 0;
    this.responseCodeDetails = '';
    this.connectionTerminationDetails = '';
    this.upstreamCluster = '';
    this.upstreamHost = '';
    this.upstreamLocalAddress = '';
    this.upstreamTls = undefined;
    this.upstreamTransportFailureReason = '';
    this.upstreamAttemptCount = 0;
    this.routeName = '';
    this.virtualHostName = '';
    this.trace = undefined;
    this.isTraceable = false;
    for (let i = 0; i < this.slots.length; i++) this.slots[i] = undefined;
    this.metadata = undefined;
    this.filterState = undefined;
  }

  getMetadata(namespace: string, key?: string): unknown {
    const values = this.metadata?.get(namespace);
    if (values === undefined) return undefined;
    return key === undefined ? Object.fromEntries(values) : values.get(key);
  }

  setMetadata(namespace: string, key: string, value: unknown): void {
    this.metadata ??= new Map();
    let values = this.metadata.get(namespace);
    if (values === undefined) {
      values = new Map();
      this.metadata.set(namespace, values);
    }
    values.set(key, value);
  }

  getFilterState(key: string): unknown {
    return this.filterState?.get(key);
  }

  setFilterState(key: string, value: unknown): void {
    this.filterState ??= new Map();
    this.filterState.set(key, value);
  }

  addResponseFlag(bit: number): void {
    this.responseFlags |= bit;
  }
}
