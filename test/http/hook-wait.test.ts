import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { defineHttpFilter, type HttpStream } from '../../src/filter/index.ts';
import { startAppOf } from '../support/protocols.ts';
import { echo, story } from '../support/story.ts';

/** Requests one after the other on one connection; the statuses of their answers. */
async function askInTurn(port: number, paths: readonly string[]): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const statuses: number[] = [];
  for (const path of paths) {
    statuses.push(
      await new Promise<number>((resolve, reject) => {
        request({ port, path, agent, host: '127.0.0.1' }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        })
          .on('error', reject)
          .end();
      }),
    );
  }
  agent.destroy();
  return statuses;
}

function waiting(streams: HttpStream[], letsGoOfStreams: boolean) {
  return defineHttpFilter({
    name: 'waits',
    semantics: { side: 'either', state: 'none', body: 'none' },
    timeoutMs: 500,
    letsGoOfStreams,
    create: () => ({
      async onRequest(message, stream) {
        streams.push(stream);
        await sleep(message.path === '/late' ? 900 : 1);
      },
    }),
  });
}

test('the object of a stream serves the next request when its filters have let go of it', async () => {
  await using app = await startAppOf('HTTP/1.1', echo());
  for (const letsGo of [true, false]) {
    const streams: HttpStream[] = [];
    await using proxy = await story({ app: app.port, filters: [waiting(streams, letsGo)] });
    expect(await askInTurn(proxy.port, ['/', '/', '/'])).toEqual([200, 200, 200]);
    expect(new Set(streams).size).toBe(letsGo ? 1 : 3);
  }
});

test('a promise that comes too late meets the stream that it was made for', async () => {
  await using app = await startAppOf('HTTP/1.1', echo());
  const streams: HttpStream[] = [];
  await using proxy = await story({ app: app.port, filters: [waiting(streams, true)] });
  expect(await askInTurn(proxy.port, ['/', '/late', '/', '/late', '/'])).toEqual([200, 500, 200, 500, 200]);
  const [first, late, third, again, last] = streams;
  expect(late).toBe(first);
  expect(third).not.toBe(late);
  expect(again).toBe(third);
  expect(last).not.toBe(again);
});
