import { closeSync } from 'node:fs';
import { libc } from './libc.ts';

/**
 * Closes a descriptor that Node did not open: a copy of a socket's, or one that another process or thread has sent. In a
 * worker thread `closeSync` works too, but Node warns of each one that it does not know.
 */
export function closeDescriptor(fd: number): void {
  const c = libc();
  if (c === undefined) closeSync(fd);
  else c.close(fd);
}
