import type { StreamInfo } from '../observe/stream-info.ts';
import type { FilterEnv } from './env.ts';
import type { FilterSemantics } from './semantics.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';
import type { Continue, Stop } from './verdict.ts';

/** One downstream connection, as a network filter sees it. */
export interface NetworkStream extends StreamInfo {
  setMetadata(namespace: string, key: string, value: unknown): void;
  addResponseFlag(bit: number): void;
}

export type NetworkHookResult = undefined | Stop | Continue | void;
export type NetworkDataResult = undefined | Uint8Array | Stop | Continue | void;

/** The hooks of one configured network filter, in the order of a connection's life. An absent hook is never called. */
export interface NetworkFilterHooks {
  /** Before any byte is read; a promise delays the connection. */
  onConnection?(stream: NetworkStream): NetworkHookResult | Promise<NetworkHookResult>;
  /** Bytes from the client; the chunk is valid during the call only. */
  onData?(chunk: Buffer, end: boolean, stream: NetworkStream): NetworkDataResult;
  /** Bytes to the client. */
  onWrite?(chunk: Buffer, end: boolean, stream: NetworkStream): NetworkDataResult;
  /** The connection is gone; called exactly once when onConnection was. */
  onClose?(stream: NetworkStream): void;
  dispose?(): void;
}

/** A network filter: RBAC, connection limits, protocol inspectors. Terminal filters (tcp_proxy, the HTTP connection manager) are built in. */
export interface NetworkFilterDefinition<C = unknown> {
  readonly name: string;
  readonly configType?: string;
  readonly config?: StandardSchemaV1<unknown, C>;
  readonly semantics: FilterSemantics;
  readonly onError?: 'closed' | 'open';
  readonly timeoutMs?: number;
  create(config: C, env: FilterEnv<never>): NetworkFilterHooks;
}

/** Declares a network filter; the identity function, for its types. */
export function defineNetworkFilter<C = unknown>(definition: NetworkFilterDefinition<C>): NetworkFilterDefinition<C> {
  return definition;
}
