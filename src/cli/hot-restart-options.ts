import type { HotRestartSettings } from '../hot-restart/hot-restart.ts';
import type { RunFlags } from './run-options.ts';
import { readNumber } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

/** Envoy's default. A process that has nothing left to do ends earlier. */
const PARENT_SHUTDOWN_S = '900';

const MAX_U32 = 2 ** 32 - 1;

/**
 * What the command line says about hot restarts: by a socket, or with Envoy's options; undefined when it says nothing.
 *
 * @param drainTimeMs - in which the process before asks its connections to end
 * @throws UsageError that names the option, the value and what is allowed
 */
export function readHotRestart(flags: RunFlags, drainTimeMs: number): HotRestartSettings | undefined {
  const isEnvoys =
    flags.restartEpoch !== undefined ||
    flags.baseId !== undefined ||
    flags.useDynamicBaseId ||
    flags.baseIdPath !== undefined;
  const { hotRestart: path } = flags;
  if (flags.disableHotRestart || (path === undefined && !isEnvoys)) return undefined;
  if (path !== undefined && isEnvoys) {
    throw new UsageError(
      '--hot-restart and Envoy’s --restart-epoch and --base-id exclude each other',
      'with --hot-restart, a process finds out by itself from whom it takes over',
    );
  }
  const epoch = isEnvoys ? readNumber('--restart-epoch', flags.restartEpoch ?? '0', 0, MAX_U32, true) : undefined;
  if (flags.useDynamicBaseId && epoch !== 0) {
    throw new UsageError('--use-dynamic-base-id is for the first process; the next ones are told its --base-id');
  }
  const baseId = flags.useDynamicBaseId ? 'dynamic' : readNumber('--base-id', flags.baseId ?? '0', 0, MAX_U32, true);
  return {
    place: path === undefined ? { baseId, file: flags.baseIdPath } : { path },
    epoch,
    startsAlone: flags.skipHotRestartOnNoParent === true,
    keepsStats: flags.skipHotRestartParentStats !== true,
    terms: {
      drainTimeMs,
      isGradual: flags.drainStrategy !== 'immediate',
      deadlineMs:
        readNumber('--parent-shutdown-time-s', flags.parentShutdownTimeS ?? PARENT_SHUTDOWN_S, 0, MAX_U32, false) *
        1000,
    },
  };
}
