import type { Logger } from '../filter/env.ts';
import { distrustHandles, isComplete, streamBinding, unopenedHandle } from './stream-handle.ts';

/** The Node release that the conversation of `handle-conversation.ts` is part of the tests for. */
const TRIED_NODE_MAJOR = 26;

/** libuv's answers to use of a handle that is not open. */
const NOT_OPEN = { READ: -107, WRITE: -9 };

let settled: Promise<void> | undefined;

/**
 * Decides, once per thread and before the first connection, whether connections may drive their handles. On the Node
 * release that the tests ran on, the shape of its internals is looked at, which takes microseconds; another one must
 * also pass a conversation over a local socket. One log line says when they may not.
 */
export function settleHandles(log: Logger): Promise<void> {
  settled ??= decide(log);
  return settled;
}

async function decide(log: Logger): Promise<void> {
  if (process.env.OUTRIGGER_PORTABLE_IO === '1') {
    log.info('connections use the stream API, as OUTRIGGER_PORTABLE_IO asks');
    return;
  }
  const problem = await problemWithHandles(process.versions.node);
  if (problem === undefined) return;
  distrustHandles();
  log.warn('connections use the slower stream API: Node’s stream handles are not as expected', {
    node: process.versions.node,
    problem,
  });
}

/** What speaks against handles on this Node; undefined when nothing does. */
export async function problemWithHandles(nodeVersion: string): Promise<string | undefined> {
  const problem = wrongShape();
  if (problem !== undefined || Number.parseInt(nodeVersion, 10) === TRIED_NODE_MAJOR) return problem;
  const { converseOverHandles } = await import('./handle-conversation.ts');
  return converseOverHandles();
}

/** What differs of the binding and of a handle that is not open. */
export function wrongShape(internals = { binding: streamBinding, handle: unopenedHandle() }): string | undefined {
  const { binding, handle } = internals;
  try {
    if (binding === undefined || handle === undefined) return 'stream_wrap or pipe_wrap is not there';
    const { streamBaseState: state, kReadBytesOrError: read, kLastWriteWasAsync: written } = binding;
    const isIndex = (index: number): boolean => Number.isInteger(index) && index >= 0 && index < state.length;
    if (!(state instanceof Int32Array) || read === written || !isIndex(read) || !isIndex(written))
      return 'the state of stream_wrap is not as expected';
    if (!isComplete(handle)) return 'a handle lacks methods';
    const bytes = Buffer.allocUnsafeSlow(16);
    handle.useUserBuffer(bytes);
    if (handle.readStart() !== NOT_OPEN.READ) return 'reading from a handle that is not open does not say so';
    if (handle.writeLatin1String(new binding.WriteWrap(), 'x') !== NOT_OPEN.WRITE)
      return 'writing text to a handle that is not open does not say so';
    if (handle.writeBuffer(new binding.WriteWrap(), bytes) !== NOT_OPEN.WRITE)
      return 'writing bytes to a handle that is not open does not say so';
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    handle?.close();
  }
}
