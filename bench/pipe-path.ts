import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The Unix socket that takes the place of a port of this machine, which no other run has at the time. */
export function pipePath(port: number): string {
  return join(tmpdir(), `outrigger-bench-${port}.sock`);
}
