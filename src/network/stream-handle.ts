import type { Socket } from 'node:net';

/**
 * The only file that touches Node's internals. What it uses, and what stands on documented API when a Node release
 * changes it: `socket._handle` (read into our memory, write without the stream machinery), and the write-request and
 * state objects of `process.binding('stream_wrap')`. When they are not as expected, or the self-test of
 * `handle-self-test.ts` says so, connections are made with `StreamConnection`.
 */
export interface StreamHandle {
  onread: (this: StreamHandle) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeLatin1String(request: WriteRequest, text: string): number;
  writeBuffer(request: WriteRequest, buffer: Uint8Array): number;
  shutdown(request: ShutdownRequest): number;
  /** Whether Node's own streams have begun to read it. */
  readonly reading?: boolean;
  /** Set by us: whom the handle belongs to. */
  outrigger: unknown;
}

export interface WriteRequest {
  oncomplete: ((this: WriteRequest, status: number) => void) | undefined;
  owner: unknown;
  buffer: Uint8Array | undefined;
  /** Below 0 unless it is of a write that is under way. */
  getAsyncId(): number;
}

export interface ShutdownRequest {
  oncomplete: (status: number) => void;
}

interface StreamBinding {
  WriteWrap: new () => WriteRequest;
  ShutdownWrap: new () => ShutdownRequest;
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
}

function load(): StreamBinding | undefined {
  try {
    const binding = (process as unknown as { binding(name: string): Partial<StreamBinding> }).binding('stream_wrap');
    const complete =
      typeof binding.WriteWrap?.prototype?.getAsyncId === 'function' &&
      typeof binding.ShutdownWrap === 'function' &&
      binding.streamBaseState !== undefined &&
      typeof binding.kReadBytesOrError === 'number' &&
      typeof binding.kLastWriteWasAsync === 'number';
    return complete ? (binding as StreamBinding) : undefined;
  } catch {
    return undefined;
  }
}

/** Node's stream internals, or undefined where they are not as expected. */
export const streamBinding: StreamBinding | undefined = process.env.OUTRIGGER_PORTABLE_IO === '1' ? undefined : load();

let trusted = streamBinding !== undefined;

/** From now on no connection uses its handle. */
export function distrustHandles(): void {
  trusted = false;
}

/** The handle of an open socket when handles are trusted and it has everything that `HandleConnection` needs. */
export function handleOf(socket: Socket): StreamHandle | undefined {
  const handle = (socket as unknown as { _handle?: Partial<StreamHandle> | null })._handle;
  return trusted && handle !== undefined && handle !== null && isComplete(handle) ? handle : undefined;
}

/** Whether a handle has the methods that are needed. */
export function isComplete(handle: Partial<StreamHandle>): handle is StreamHandle {
  return (
    typeof handle.readStart === 'function' &&
    typeof handle.readStop === 'function' &&
    typeof handle.useUserBuffer === 'function' &&
    typeof handle.writeLatin1String === 'function' &&
    typeof handle.writeBuffer === 'function' &&
    typeof handle.shutdown === 'function'
  );
}

/** A handle of no socket, to look at; undefined where there is none. It must be closed. */
export function unopenedHandle(): (Partial<StreamHandle> & { close(): void }) | undefined {
  try {
    const wrap = (process as unknown as { binding(name: string): PipeBinding }).binding('pipe_wrap');
    return new wrap.Pipe(wrap.constants.SOCKET);
  } catch {
    return undefined;
  }
}

interface PipeBinding {
  Pipe: new (kind: number) => Partial<StreamHandle> & { close(): void };
  constants: { SOCKET: number };
}
