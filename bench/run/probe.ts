import { connect } from 'node:net';
import type { Child } from './children.ts';

const PATIENCE_MS = 15_000;
const RETRY_MS = 1;
const ATTEMPT_TIMEOUT_MS = 1000;

/**
 * Asks until the first expected answer comes.
 *
 * @returns when it came, on `performance.now()`
 * @throws when the process ends, or nothing comes within 15 s
 */
export async function waitForStatus(port: number, path: string, status: number, child?: Child): Promise<number> {
  const deadline = performance.now() + PATIENCE_MS;
  let last = 'no connection';
  while (performance.now() < deadline) {
    const answer = await ask(port, path);
    if (answer === status) return performance.now();
    if (answer !== undefined) last = `status ${answer}`;
    if (child?.hasExited()) throw new Error(`ended before it answered: ${child.stderrTail() || 'it said nothing'}`);
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
  const said = child?.stderrTail();
  throw new Error(`no ${status} from port ${port}${path} within 15 s (${last})${said ? `: ${said}` : ''}`);
}

function ask(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    let text = '';
    const finish = (answer: number | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(ATTEMPT_TIMEOUT_MS, () => finish(undefined));
    socket.on('error', () => finish(undefined));
    socket.on('close', () => finish(undefined));
    socket.on('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const match = /^HTTP\/1\.1 (\d{3})/.exec(text);
      if (match !== null) finish(Number(match[1]));
    });
  });
}
