import { connect, type Socket } from 'node:net';
import { requestBytes } from './http1-client.ts';
import type { LoadTarget } from './load-target.ts';
import { MessageScanner } from './message-scanner.ts';

/** How many connections are being opened, or wait for their answer, at once: far fewer than any proxy's limits. */
const OPENING = 32;
/** Of each source address: well below the 28,000 ports that Linux hands out, some of which others use. */
const PORTS_PER_ADDRESS = 5000;

/**
 * Opens keep-alive connections in clear text, has one request answered on each, and leaves them open. Node raises its
 * own limit of descriptors to the hard one.
 *
 * @param onLost the other side closed a connection that was to stay
 * @returns how to close them all
 * @throws when a connection fails, or its answer is not the expected one
 */
export async function openIdleConnections(
  target: LoadTarget,
  onLost: (error: Error) => void = () => undefined,
): Promise<() => void> {
  const request = requestBytes(target);
  const sockets: Socket[] = [];
  const close = (): void => {
    for (const socket of sockets) socket.removeAllListeners('close').destroy();
  };
  let next = 0;
  let failure: Error | undefined;
  const worker = async (): Promise<void> => {
    while (next < target.connections && failure === undefined) {
      const socket = await answered(target, request, sourceAddress(next++));
      socket.once('close', () => onLost(new Error('an idle connection was closed by the other side')));
      sockets.push(socket);
    }
  };
  const workers = Array.from({ length: OPENING }, () =>
    worker().catch((error: Error) => {
      failure ??= error;
    }),
  );
  await Promise.all(workers);
  if (failure === undefined) return close;
  close();
  throw failure;
}

/** The address of loopback that a connection comes from, so that no address runs out of ports. */
export function sourceAddress(index: number): string {
  return `127.0.0.${1 + Math.floor(index / PORTS_PER_ADDRESS)}`;
}

/** A new connection, once its one request has been answered. */
function answered(target: LoadTarget, request: Buffer, localAddress: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target.host, port: target.port, localAddress, noDelay: true });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    const scanner = new MessageScanner((status) => {
      socket.removeListener('close', onClose);
      if (status === target.expectStatus) resolve(socket);
      else fail(new Error(`status ${status} in place of ${target.expectStatus}`));
    });
    const onClose = (): void => fail(new Error('a connection was closed before its answer'));
    socket.on('error', fail).on('close', onClose);
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      try {
        scanner.push(chunk, chunk.length);
      } catch (error) {
        fail(error as Error);
      }
    });
  });
}

if (import.meta.main) {
  const fail = (error: Error): never => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  };
  const target = JSON.parse(process.argv[2] ?? '{}') as LoadTarget;
  await openIdleConnections(target, fail).catch(fail);
  // From now on they are idle, until this process is ended.
  process.stdout.write('open\n');
}
