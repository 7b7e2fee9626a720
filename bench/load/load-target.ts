import type { HttpVersion } from '../scenario.ts';
import type { ClientTls } from './client-tls.ts';
import { grpcMessage } from './grpc-message.ts';

/** What every load generator is told about the requests that it is to send. */
export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  /** A Unix socket in place of both. */
  readonly socketPath?: string | undefined;
  readonly version: HttpVersion;
  readonly path: string;
  readonly connections: number;
  /** Requests under way at once on each connection; 1 with HTTP/1.1. */
  readonly streams: number;
  /** Bytes of a POST body, filled with `x`; of a gRPC message's payload; 0 sends GET. */
  readonly bodyBytes: number;
  /** `unary`: a call each. `stream`: a message of a call each, answered by its echo. */
  readonly grpc?: 'unary' | 'stream' | undefined;
  /** The status that counts as success. */
  readonly expectStatus: number;
  /** Besides host and content-length. */
  readonly headers: Readonly<Record<string, string>>;
  /** Clear text when it is not there. */
  readonly tls?: ClientTls | undefined;
  /** Each request has a connection of its own. */
  readonly newConnections?: boolean;
}

/** The body of each request, of each message with gRPC; undefined when none is sent. */
export function targetBody(target: LoadTarget): Buffer | undefined {
  if (target.grpc !== undefined) return grpcMessage(target.bodyBytes);
  return target.bodyBytes > 0 ? Buffer.alloc(target.bodyBytes, 'x') : undefined;
}
