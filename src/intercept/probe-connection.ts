import { connect } from 'node:net';

/** What a connection met: somebody who accepted, nobody who listens, nobody who answers in time, or an error. */
export type Met = 'accepted' | 'refused' | 'no answer' | (string & {});

/** How long somebody has to accept. The rules have decided long before: at the first packet. */
const ANSWER_MS = 150;

/** Connects several times at once, as whoever this process is. */
export async function connectTimes(
  host: string,
  port: number,
  source: string | undefined,
  times: number,
): Promise<Met> {
  const met = await Promise.all(Array.from({ length: times }, () => connectOnce(host, port, source)));
  return met[0] ?? 'no answer';
}

function connectOnce(host: string, port: number, source: string | undefined): Promise<Met> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(source !== undefined && { localAddress: source }) });
    const end = (met: Met): void => {
      clearTimeout(limit);
      socket.destroy();
      resolve(met);
    };
    const limit = setTimeout(end, ANSWER_MS, 'no answer');
    socket.once('connect', () => end('accepted'));
    socket.once('error', ({ code = 'error' }: NodeJS.ErrnoException) =>
      end(code === 'ECONNREFUSED' ? 'refused' : code),
    );
  });
}
