import { expect, test } from 'vitest';
import { CODE, codeOf, data, FLAG, goAway, headers, rstStream, SETTING, TYPE } from '../../support/http2/frames.ts';
import { requestBlock } from '../../support/http2/hpack.ts';
import { Http2Peer, type PeerOptions, serveHttp2 } from '../../support/http2/peer.ts';
import { eventually, quiet, type StoryOptions, story } from '../../support/story.ts';
import { answerWell, head, OK } from './hostile/case.ts';

const HTTP2 = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }`;

type Waiting = { readonly upstream: Http2Peer; readonly id: number; readonly path: string };

/** An upstream that keeps requests until a test answers them. */
async function holding(options: PeerOptions | ((connection: number) => PeerOptions) = {}) {
  const waiting: Waiting[] = [];
  const server = await serveHttp2((upstream, id, request) => {
    waiting.push({ upstream, id, path: request.fields?.find(([name]) => name === ':path')?.[1] ?? '' });
  }, options);
  return { ...server, waiting };
}

const start = (port: number, more: Partial<StoryOptions> = {}) => story({ app: port, cluster: HTTP2, ...more });

test('requests of all clients share a connection to the upstream', async () => {
  await using app = await holding();
  await using proxy = await start(app.port);
  const clients = await Promise.all(Array.from({ length: 10 }, () => Http2Peer.connect(proxy.port)));
  const first = clients.map((client) => client.request());
  await eventually('all are there', () => app.waiting.length === 10);
  expect(app.peers.length).toBe(1);
  for (const { upstream, id } of app.waiting) answerWell(upstream, id);
  for (const [i, client] of clients.entries()) expect((await client.message(first[i] as number)).status).toBe(200);
  for (const client of clients) client.destroy();
  await quiet(proxy);
});

test('a client that gives up resets its own stream: what comes late is dropped, the others go on', async () => {
  await using app = await holding();
  await using proxy = await start(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const [given, kept] = [client.request({ path: '/given' }), client.request({ path: '/kept' })];
  await eventually('both are there', () => app.waiting.length === 2);
  client.write(rstStream(given));
  const [one, two] = app.waiting as [Waiting, Waiting];
  const reset = await one.upstream.frame(
    'the reset',
    ({ type, streamId }) => type === TYPE.RST_STREAM && streamId === one.id,
  );
  expect(codeOf(reset)).toBe(CODE.CANCEL);
  one.upstream.write(head(one.id, OK), data(one.id, 'late'.repeat(1000)), data(one.id, 'later', true));
  answerWell(two.upstream, two.id);
  expect((await client.message(kept)).body.toString()).toBe('fine');
  expect((await proxy.logged(2)).find(({ path }) => path === '/given')).toMatchObject({ code: 0, flags: 'DR' });
  expect(app.peers.length).toBe(1);
});

test('a stream that breaks the rules is reset, and its neighbours are answered', async () => {
  await using app = await holding();
  await using proxy = await start(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const [bad, good] = [client.request({ path: '/bad' }), client.request({ path: '/good' })];
  await eventually('both are there', () => app.waiting.length === 2);
  const [one, two] = app.waiting as [Waiting, Waiting];
  one.upstream.write(head(one.id, [['x-no', 'status']], FLAG.END_STREAM));
  expect((await client.message(bad)).status).toBe(502);
  answerWell(two.upstream, two.id);
  expect((await client.message(good)).status).toBe(200);
  await one.upstream.frame('the reset', ({ type, streamId }) => type === TYPE.RST_STREAM && streamId === one.id);
});

test('a connection that breaks the rules takes all its streams with it, and the next request gets a new one', async () => {
  await using app = await holding();
  await using proxy = await start(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const ids = Array.from({ length: 5 }, () => client.request());
  await eventually('all are there', () => app.waiting.length === 5);
  app.waiting[0]?.upstream.write(data(0, 'of the connection'));
  for (const id of ids) expect((await client.message(id)).status).toBe(502);
  const next = client.request();
  await eventually('another one is there', () => app.waiting.length === 6);
  expect(app.peers.length).toBe(2);
  const { upstream, id } = app.waiting[5] as Waiting;
  answerWell(upstream, id);
  expect((await client.message(next)).status).toBe(200);
});

test('one stream at a time: requests wait for each other, or get connections of their own', async () => {
  await using app = await holding({ settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 1 } });
  await using proxy = await start(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const warm = client.request();
  await eventually('the first is there', () => app.waiting.length === 1);
  answerWell((app.waiting[0] as Waiting).upstream, 1);
  await client.message(warm);
  const ids = Array.from({ length: 5 }, () => client.request());
  let answered = 1;
  while (answered < 6) {
    await eventually('the next is there', () => app.waiting.length > answered);
    const { upstream, id } = app.waiting[answered++] as Waiting;
    answerWell(upstream, id);
  }
  for (const id of ids) expect((await client.message(id)).status).toBe(200);
  // No connection ever had two of them at the same time: each request begins after the end of the one before.
  for (const { frames } of app.peers) {
    const heads = frames.filter(({ type }) => type === TYPE.HEADERS).map(({ streamId }) => streamId);
    expect(heads).toEqual([...heads].sort((a, b) => a - b));
  }
});

test('GOAWAY: streams that it leaves out go to another connection, the others are answered on the old one', async () => {
  await using app = await holding();
  await using proxy = await start(app.port, {
    routes: '- match: { prefix: / }\n  route: { cluster: app, retry_policy: { retry_on: refused-stream } }',
  });
  using client = await Http2Peer.connect(proxy.port);
  const ids = [client.request({ path: '/1' }), client.request({ path: '/2' }), client.request({ path: '/3' })];
  await eventually('all are there', () => app.waiting.length === 3);
  const [one] = app.waiting as [Waiting];
  one.upstream.write(goAway(one.id));
  await eventually('two come again', () => app.waiting.length === 5);
  expect(
    app.waiting
      .slice(3)
      .map(({ path }) => path)
      .sort(),
  ).toEqual(['/2', '/3']);
  expect(app.peers.length).toBe(2);
  for (const { upstream, id } of [one, ...app.waiting.slice(3)]) answerWell(upstream, id);
  for (const id of ids) expect((await client.message(id)).status).toBe(200);
  // What is drained is closed.
  await (app.peers[0] as Http2Peer).untilClosed();
});

test('an upload is given up when the response is complete without it, and its connection goes on', async () => {
  await using app = await holding();
  await using proxy = await start(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const id = client.streamId();
  client.write(headers(id, requestBlock({ method: 'POST' }), { endStream: false }), data(id, 'begins'));
  await eventually('it is there', () => app.waiting.length === 1);
  const [one] = app.waiting as [Waiting];
  answerWell(one.upstream, one.id);
  const { status, body } = await client.message(id);
  expect([status, body.toString()]).toEqual([200, 'fine']);
  await one.upstream.frame('the reset', ({ type, streamId }) => type === TYPE.RST_STREAM && streamId === one.id);
  const next = client.request();
  await eventually('another one is there', () => app.waiting.length === 2);
  answerWell(one.upstream, (app.waiting[1] as Waiting).id);
  expect((await client.message(next)).status).toBe(200);
  expect(app.peers.length).toBe(1);
});
