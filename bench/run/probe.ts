import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type ClientTls, clientContext, SERVER_NAME } from '../load/client-tls.ts';
import type { HttpVersion } from '../scenario.ts';
import type { Child } from './children.ts';

/** What is asked, and the status that says that all is well. */
export interface Probe {
  readonly port: number;
  /** A Unix socket in place of the port. */
  readonly socketPath?: string | undefined;
  readonly path: string;
  readonly status: number;
  readonly version: HttpVersion;
  /** A call, which must end with grpc-status 0 too. */
  readonly isGrpc: boolean;
  /** Besides host. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: ClientTls | undefined;
}

const PATIENCE_MS = 15_000;
const RETRY_MS = 1;
export const ATTEMPT_TIMEOUT_MS = 1000;

/**
 * Asks until the first expected answer comes.
 *
 * @returns when it came, on `performance.now()`
 * @throws when the process ends, or nothing comes within 15 s
 */
export async function waitForAnswer(probe: Probe, child?: Child): Promise<number> {
  // Loaded where needed: the start of a proxy is measured with HTTP/1.1, in as little time as possible.
  const ask = probe.version === 'http2' ? (await import('./probe-http2.ts')).askHttp2 : askHttp1;
  const deadline = performance.now() + PATIENCE_MS;
  let last = 'no connection';
  while (performance.now() < deadline) {
    const answer = await ask(probe);
    if (answer === `status ${probe.status}`) return performance.now();
    if (answer !== undefined) last = answer;
    if (child?.hasExited()) throw new Error(`ended before it answered: ${child.stderrTail() || 'it said nothing'}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  const said = child?.stderrTail();
  const { status, port, path } = probe;
  throw new Error(`no ${status} from port ${port}${path} within 15 s (${last})${said ? `: ${said}` : ''}`);
}

/** `status 200`, or undefined without an answer. */
function askHttp1({ port, socketPath, path, headers = {}, tls }: Probe): Promise<string | undefined> {
  const socket = socketPath === undefined ? openSocket(port, tls) : connect(socketPath);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return new Promise((resolve) => {
    let text = '';
    const finish = (answer: string | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ATTEMPT_TIMEOUT_MS, () => finish(undefined));
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on(tls === undefined ? 'connect' : 'secureConnect', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${fields.join('')}\r\n`),
    );
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const match = /^HTTP\/1\.1 (\d{3})/.exec(text);
      if (match !== null) finish(`status ${match[1]}`);
    });
  });
}

function openSocket(port: number, tls: ClientTls | undefined): Socket {
  const address = { host: '127.0.0.1', port, noDelay: true };
  if (tls === undefined) return connect(address);
  return connectTls({ ...address, servername: SERVER_NAME, secureContext: clientContext(tls) });
}
