import { closeSync } from 'node:fs';
import { createSpliceMaps } from '../../src/kernel/splice-maps.ts';

/** Why this machine cannot splice TCP sessions in the kernel; undefined when it can. */
export function spliceProblem(): string | undefined {
  if (process.env.OUTRIGGER_PORTABLE_IO !== undefined) return 'connections without handles have no descriptors';
  try {
    for (const fd of Object.values(createSpliceMaps())) closeSync(fd as number);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
