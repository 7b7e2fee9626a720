import type { Socket } from 'node:net';

/** Closes with RST where the transport has it; Node throws for a pipe, which has not. */
export function resetSocket(socket: Socket): void {
  try {
    socket.resetAndDestroy();
  } catch {
    socket.destroy();
  }
}
