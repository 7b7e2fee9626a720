import { expect, test } from 'vitest';
import { type HttpStream, reply } from '../../src/filter/index.ts';
import { PendingVerdict } from '../../src/filter/pending-verdict.ts';
import { TestClient } from '../support/sockets.ts';
import { ask, echo, type StoryFilter, startApp, story } from '../support/story.ts';

const GET = 'GET /a HTTP/1.1\r\nhost: a\r\n\r\n';

/** A filter whose verdicts the test settles; requests come one at a time. */
function asking() {
  const pending: PendingVerdict[] = [];
  const streams: HttpStream[] = [];
  const filter: StoryFilter = {
    onRequest: (_request, stream) => {
      const verdict = new PendingVerdict();
      pending.push(verdict);
      streams.push(stream);
      return verdict;
    },
  };
  return { pending, streams, filter };
}

test('a request goes on within the call that settles its verdict', async () => {
  await using app = await startApp(echo());
  const order: string[] = [];
  const { pending, filter } = asking();
  const second: StoryFilter = { onRequest: () => void order.push('next filter') };
  await using proxy = await story({ app: app.port, filters: [filter, second] });
  const answer = ask(proxy.port);
  await expect.poll(() => pending.length).toBe(1);
  order.push('settle');
  pending[0]?.settle(undefined);
  order.push('settled');
  expect(order).toEqual(['settle', 'next filter', 'settled']);
  expect((await answer).status).toBe(200);
});

test('a verdict that comes later may refuse, and counts once', async () => {
  await using app = await startApp(echo());
  const { pending, filter } = asking();
  await using proxy = await story({ app: app.port, filters: [filter] });
  const answer = ask(proxy.port);
  await expect.poll(() => pending.length).toBe(1);
  pending[0]?.settle(reply(403, { body: 'no' }));
  pending[0]?.settle(reply(404));
  pending[0]?.fail(new Error('too late'));
  expect(await answer).toMatchObject({ status: 403, body: 'no' });
});

test('one that is settled before the hook returns is as good as a verdict', async () => {
  await using app = await startApp(echo());
  const settled = (settle: (verdict: PendingVerdict) => void): StoryFilter => ({
    onRequest: () => {
      const verdict = new PendingVerdict();
      settle(verdict);
      return verdict;
    },
  });
  const cases: [number, StoryFilter][] = [
    [200, settled((verdict) => verdict.settle(undefined))],
    [403, settled((verdict) => verdict.settle(reply(403)))],
    [500, settled((verdict) => verdict.fail(new Error('broken')))],
  ];
  for (const [status, filter] of cases) {
    await using proxy = await story({ app: app.port, filters: [filter] });
    expect((await ask(proxy.port)).status).toBe(status);
  }
});

test('a filter that fails later fails its request', async () => {
  await using app = await startApp(echo());
  const { pending, filter } = asking();
  await using proxy = await story({ app: app.port, filters: [filter] });
  const answer = ask(proxy.port);
  await expect.poll(() => pending.length).toBe(1);
  pending[0]?.fail(new Error('broken'));
  expect((await answer).status).toBe(500);
});

test('a client that leaves meanwhile is noticed, and its verdict is nobody else’s', async () => {
  await using app = await startApp(echo());
  const { pending, streams, filter } = asking();
  await using proxy = await story({ app: app.port, filters: [filter] });
  const client = await TestClient.connect(proxy.port);
  client.write(GET);
  await expect.poll(() => pending.length).toBe(1);
  const left = streams[0]?.signal;
  client.destroy();
  await expect.poll(() => left?.aborted).toBe(true);
  const answer = ask(proxy.port);
  await expect.poll(() => pending.length).toBe(2);
  pending[0]?.settle(reply(403));
  pending[1]?.settle(undefined);
  expect((await answer).status).toBe(200);
  expect(streams[1]).not.toBe(streams[0]);
});

test('requests behind one that waits are read, up to a limit', async () => {
  await using app = await startApp(echo());
  const { pending, filter } = asking();
  await using proxy = await story({ app: app.port, filters: [filter] });
  const client = await TestClient.connect(proxy.port);
  // More than is kept of what is pipelined.
  const long = `GET /${'x'.repeat(6000)} HTTP/1.1\r\nhost: a\r\n\r\n`;
  client.write(GET + long.repeat(8));
  for (let i = 0; i < 9; i++) {
    await expect.poll(() => pending.length).toBe(i + 1);
    pending[i]?.settle(undefined);
  }
  await client.until(({ text }) => text.split('HTTP/1.1 200').length === 10);
  client.destroy();
});
