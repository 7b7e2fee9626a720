import type { TlsInfo } from '../observe/stream-info.ts';

/**
 * A byte stream to a peer, in the shape that the codecs need: reads land in memory that is shared and valid during the
 * callback only, writes are taken over completely (the caller may reuse its memory at once, unless it said `stable`).
 *
 * `HandleConnection` drives the socket's handle directly and is what production runs, `TlsConnection` (`src/tls`) the
 * handle of a TLS socket; `StreamConnection` uses documented stream API only, where the self-test of handles fails.
 */
export interface Connection {
  handler: ConnectionHandler;
  /** Bytes read from and written to the peer since the connection began. */
  bytesRead: number;
  bytesWritten: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** What the TLS handshake established, the protocol among it (`alpn`); undefined in clear text. */
  readonly tls: TlsInfo | undefined;
  /** True once destroyed or closed by the peer: writes are then dropped. */
  readonly closed: boolean;
  /** True while the kernel has not taken everything that was written. */
  readonly congested: boolean;
  /**
   * Writes latin1 text. Returns false when the kernel did not take it all: `onDrain` follows; hold back until then.
   */
  writeText(text: string): boolean;
  /** Writes `buffer[start, end)`, which may be reused as soon as the call returns. */
  writeCopy(buffer: Buffer, start: number, end: number): boolean;
  /** Writes `prefix + buffer[start, end) + suffix` in as few system calls as it can; memory as for `writeCopy`. */
  writeAround(prefix: string, buffer: Buffer, start: number, end: number, suffix: string): boolean;
  /** Writes without a copy; the caller leaves `buffer` alone until `onDrain` when the result is false. */
  writeStable(buffer: Buffer, start: number, end: number): boolean;
  /** Sends FIN behind what was written. */
  end(): void;
  /** Stops and resumes reading. Idempotent. */
  pause(): void;
  resume(): void;
  /**
   * From now on reads land in `buffer`, which belongs to this connection; undefined goes back to the shared buffer.
   * False: the connection does not read into memory of its caller, now or ever.
   */
  setReadBuffer(buffer: Buffer | undefined): boolean;
  /** Closes at once; `reset` sends RST. `onClose` follows. */
  destroy(error?: Error): void;
  reset(): void;
}

/** What a connection tells its owner. `onClose` is called exactly once, last. */
export interface ConnectionHandler {
  /** `length` bytes lie at the start of `buffer`; both are valid during the call only, unless the read buffer is the owner's. */
  onData(buffer: Buffer, length: number): void;
  /** The peer sent FIN; writing goes on. */
  onEnd(): void;
  /** Everything written has been taken by the kernel. */
  onDrain(): void;
  onClose(error: Error | undefined): void;
}
