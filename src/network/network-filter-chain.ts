import type { NetworkDataResult, NetworkFilterHooks } from '../filter/network.ts';
import type { AnyNetworkFilter } from '../filter/registry.ts';
import type { Stop } from '../filter/verdict.ts';
import { FLAG } from '../http/response-flags.ts';
import type { TlsInfo } from '../observe/stream-info.ts';
import type { Connection, ConnectionHandler } from './connection.ts';
import type { ConnectionRecord } from './connection-record.ts';

/** One configured network filter. */
export interface ConfiguredNetworkFilter {
  readonly name: string;
  readonly definition: AnyNetworkFilter;
  readonly hooks: NetworkFilterHooks;
  readonly timeoutMs: number;
}

/** Who is told of a connection that a filter refused. */
export type OnNetworkDenied = (record: ConnectionRecord, filter: string) => void;

/** What the chain does with a connection that every filter agreed to. */
export type Terminal = (connection: Connection, record: ConnectionRecord) => void;

/** The network filters in front of a terminal filter. Without hooks a connection goes straight to the terminal. */
export class NetworkFilterChain {
  readonly filters: readonly ConfiguredNetworkFilter[];
  private readonly seesData: boolean;
  private readonly terminal: Terminal;
  private readonly onDenied: OnNetworkDenied;
  private readonly onError: (filter: string, error: unknown) => void;

  constructor(
    filters: readonly ConfiguredNetworkFilter[],
    terminal: Terminal,
    onDenied: OnNetworkDenied,
    onError: (filter: string, error: unknown) => void,
  ) {
    this.filters = filters;
    this.seesData = filters.some((filter) => filter.hooks.onData !== undefined || filter.hooks.onWrite !== undefined);
    this.terminal = terminal;
    this.onDenied = onDenied;
    this.onError = onError;
  }

  /** Runs the filters for a new connection, of which nothing has been read. */
  serve(connection: Connection, record: ConnectionRecord): void {
    this.run(0, connection, record);
  }

  private run(from: number, connection: Connection, record: ConnectionRecord): void {
    for (let i = from; i < this.filters.length; i++) {
      const filter = this.filters[i] as ConfiguredNetworkFilter;
      record.filtersReached = i + 1;
      try {
        const result = filter.hooks.onConnection?.(record);
        if (result instanceof Promise) {
          this.wait(result, filter, i, connection, record);
          return;
        }
        if (result?.kind === 'stop') {
          this.refuse(filter, result, connection, record);
          return;
        }
      } catch (error) {
        if (!this.survives(filter, error, connection, record)) return;
      }
    }
    const target = this.seesData ? new FilteredConnection(connection, record, this.filters, this) : connection;
    this.terminal(target, record);
  }

  private wait(
    promise: Promise<unknown>,
    filter: ConfiguredNetworkFilter,
    index: number,
    connection: Connection,
    record: ConnectionRecord,
  ): void {
    let settled = false;
    const settle = (result: unknown, error?: unknown): void => {
      if (settled) return;
      settled = true;
      clearTimeout(limit);
      if (connection.closed) return;
      if (error !== undefined && !this.survives(filter, error, connection, record)) return;
      if ((result as Stop | undefined)?.kind === 'stop') this.refuse(filter, result as Stop, connection, record);
      else this.run(index + 1, connection, record);
    };
    const limit = setTimeout(
      () => settle(undefined, new Error(`did not answer within ${filter.timeoutMs} ms`)),
      filter.timeoutMs,
    );
    promise.then(
      (result) => settle(result),
      (error: unknown) => settle(undefined, error ?? new Error('rejected')),
    );
  }

  /** Ends a connection that a filter refused. */
  refuse(filter: ConfiguredNetworkFilter, verdict: Stop, connection: Connection, record: ConnectionRecord): void {
    if (verdict.flag !== undefined) record.responseFlags |= FLAG[verdict.flag];
    record.connectionTerminationDetails = verdict.details;
    this.onDenied(record, filter.name);
    connection.destroy();
  }

  /** A filter threw or did not answer: its connection alone ends, unless it declares that connections go on without it. */
  survives(filter: ConfiguredNetworkFilter, error: unknown, connection: Connection, record: ConnectionRecord): boolean {
    this.onError(filter.name, error);
    if (filter.definition.onError === 'open') return true;
    record.connectionTerminationDetails = `filter_error{${filter.name}}`;
    connection.destroy();
    return false;
  }

  /** The connection is gone: every filter that it had reached is told. */
  closed(record: ConnectionRecord): void {
    for (let i = 0; i < record.filtersReached; i++) {
      const filter = this.filters[i] as ConfiguredNetworkFilter;
      try {
        filter.hooks.onClose?.(record);
      } catch (error) {
        this.onError(filter.name, error);
      }
    }
  }
}

/** A connection whose bytes pass through the filters' data hooks. */
class FilteredConnection implements Connection, ConnectionHandler {
  handler: ConnectionHandler;
  readonly inner: Connection;
  private readonly record: ConnectionRecord;
  private readonly filters: readonly ConfiguredNetworkFilter[];
  private readonly chain: NetworkFilterChain;

  constructor(
    inner: Connection,
    record: ConnectionRecord,
    filters: readonly ConfiguredNetworkFilter[],
    chain: NetworkFilterChain,
  ) {
    this.inner = inner;
    this.record = record;
    this.filters = filters;
    this.chain = chain;
    this.handler = inner.handler;
    inner.handler = this;
  }

  get bytesRead(): number {
    return this.inner.bytesRead;
  }
  get bytesWritten(): number {
    return this.inner.bytesWritten;
  }
  get remoteAddress(): string {
    return this.inner.remoteAddress;
  }
  get remotePort(): number {
    return this.inner.remotePort;
  }
  get localAddress(): string {
    return this.inner.localAddress;
  }
  get localPort(): number {
    return this.inner.localPort;
  }
  get tls(): TlsInfo | undefined {
    return this.inner.tls;
  }
  get closed(): boolean {
    return this.inner.closed;
  }
  get congested(): boolean {
    return this.inner.congested;
  }

  onData(buffer: Buffer, length: number): void {
    const bytes = this.filter('onData', buffer.subarray(0, length), false);
    if (bytes !== undefined && bytes.length > 0) this.handler.onData(bytes, bytes.length);
  }

  onEnd(): void {
    const rest = this.filter('onData', EMPTY, true);
    if (rest === undefined) return;
    if (rest.length > 0) this.handler.onData(rest, rest.length);
    this.handler.onEnd();
  }

  onDrain(): void {
    this.handler.onDrain();
  }

  onClose(error: Error | undefined): void {
    this.handler.onClose(error);
  }

  /** What is left after the hooks, which see what is written in reverse order; undefined when one ended the connection. */
  private filter(hook: 'onData' | 'onWrite', bytes: Buffer, end: boolean): Buffer | undefined {
    const { filters } = this;
    let current = bytes;
    for (let i = 0; i < filters.length; i++) {
      const filter = filters[hook === 'onData' ? i : filters.length - 1 - i] as ConfiguredNetworkFilter;
      let result: NetworkDataResult;
      try {
        result = filter.hooks[hook]?.(current, end, this.record);
      } catch (error) {
        if (!this.chain.survives(filter, error, this.inner, this.record)) return undefined;
        continue;
      }
      if (result === undefined) continue;
      if (result instanceof Uint8Array) current = Buffer.from(result.buffer, result.byteOffset, result.byteLength);
      else if (result.kind === 'stop') {
        this.chain.refuse(filter, result, this.inner, this.record);
        return undefined;
      }
    }
    return current;
  }

  private write(bytes: Buffer): boolean {
    const out = this.filter('onWrite', bytes, false);
    return out === undefined || out.length === 0 ? true : this.inner.writeCopy(out, 0, out.length);
  }

  writeText(text: string): boolean {
    return this.write(Buffer.from(text, 'latin1'));
  }
  writeCopy(buffer: Buffer, start: number, end: number): boolean {
    return this.write(buffer.subarray(start, end));
  }
  writeStable(buffer: Buffer, start: number, end: number): boolean {
    return this.write(buffer.subarray(start, end));
  }
  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean {
    return this.write(
      Buffer.concat([Buffer.from(prefix, 'latin1'), buffer.subarray(start, end), Buffer.from(suffix, 'latin1')]),
    );
  }
  end(): void {
    const rest = this.filter('onWrite', EMPTY, true);
    if (rest === undefined) return;
    if (rest.length > 0) this.inner.writeCopy(rest, 0, rest.length);
    this.inner.end();
  }
  pause(): void {
    this.inner.pause();
  }
  resume(): void {
    this.inner.resume();
  }
  setReadBuffer(): boolean {
    // What the filters return is memory of theirs.
    return false;
  }
  destroy(error?: Error): void {
    this.inner.destroy(error);
  }
  reset(): void {
    this.inner.reset();
  }
}

const EMPTY = Buffer.alloc(0);

/** The connection behind the filters. */
export function unwrap(connection: Connection): Connection {
  return connection instanceof FilteredConnection ? connection.inner : connection;
}
