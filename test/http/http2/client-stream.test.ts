import { expect, test } from 'vitest';
import { CODE, data, frame, rstStream, SETTING, TYPE, windowUpdate } from '../../support/http2/frames.ts';
import { Http2Peer } from '../../support/http2/peer.ts';
import { eventually, quiet } from '../../support/story.ts';
import { holdingUpstream, http2Story, ONE_CONNECTION } from './holding-upstream.ts';
import { answerWell, head, OK } from './hostile/case.ts';

const isReset = ({ type }: { type: number }): boolean => type === TYPE.RST_STREAM;

test.each([
  ['the app resets', (app: Http2Peer, id: number) => app.write(rstStream(id, CODE.INTERNAL_ERROR)), 503],
  ['the app answers against the rules', (app: Http2Peer, id: number) => app.write(head(id, [['no', 'status']])), 502],
])('a request that %s fails, and not the one that waited for its stream', async (_what, fail, status) => {
  await using app = await holdingUpstream({ settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 1 } });
  await using proxy = await http2Story(app.port, { cluster: ONE_CONNECTION });
  using client = await Http2Peer.connect(proxy.port);
  const warm = client.request({ path: '/warm' });
  const { upstream, id } = await app.got('/warm');
  answerWell(upstream, id);
  await client.message(warm);
  const first = client.request({ path: '/first' });
  const failing = await app.got('/first');
  const second = client.request({ path: '/second' });
  await client.roundTrip();
  fail(upstream, failing.id);
  expect((await client.message(first)).status).toBe(status);
  const next = await app.got('/second');
  expect(next.upstream).toBe(upstream);
  answerWell(upstream, next.id);
  expect((await client.message(second)).status).toBe(200);
  client.destroy();
  await quiet(proxy);
});

test('the rest of a frame whose stream was given up is no part of the next response', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const given = client.request({ path: '/given' });
  const { upstream, id } = await app.got('/given');
  const long = data(id, 'x'.repeat(100), true);
  upstream.write(head(id, OK), long.subarray(0, 9 + 10));
  await client.until('the begin of the body', () => client.soFar(given).body.length === 10);
  client.write(rstStream(given));
  await upstream.frame('the reset', isReset);
  const next = client.request({ path: '/next' });
  const second = await app.got('/next');
  upstream.write(long.subarray(9 + 10));
  answerWell(upstream, second.id);
  const answer = await client.message(next);
  expect([answer.status, answer.body.toString()]).toEqual([200, 'fine']);
  expect(app.peers.length).toBe(1);
});

test('what a client resets in the middle of frames still counts: the window of the connection stays whole', async () => {
  // An answer to a PING would lie in the middle of a frame.
  await using app = await holdingUpstream({ acknowledges: false });
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  // More than the whole window of the connection, in frames that end after their streams.
  const size = 16_384;
  let sent = 0;
  for (let i = 0; i < 80; i++) {
    const given = client.request({ path: `/${i}` });
    const { upstream, id } = await app.got(`/${i}`);
    const long = frame(TYPE.DATA, 0, id, Buffer.alloc(size, 'x'));
    upstream.write(head(id, OK), long.subarray(0, 100));
    await client.until('the begin of the body', () => client.soFar(given).body.length > 0);
    client.write(rstStream(given));
    await upstream.frame('the reset', (one) => isReset(one) && one.streamId === id);
    upstream.write(long.subarray(100));
    sent += size;
  }
  const { upstream } = await app.got('/79');
  const credit = () =>
    upstream.frames
      .filter(({ type, streamId }) => type === TYPE.WINDOW_UPDATE && streamId === 0)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535);
  await upstream.roundTrip();
  expect(credit()).toBeGreaterThan(sent);
});

const LONG = Buffer.alloc(200_000, 'long');

/** A response longer than what a client takes, with its end. */
function answerAtLength(upstream: Http2Peer, id: number): void {
  upstream.write(head(id, OK));
  for (let at = 0; at < LONG.length; at += 16_000)
    upstream.write(data(id, LONG.subarray(at, at + 16_000), at + 16_000 >= LONG.length));
}

/** A client with the first window full, that takes the rest once it is told to. */
async function slowClient(port: number) {
  const client = await Http2Peer.connect(port, { opensWindows: false });
  return {
    client,
    full: (id: number) => client.until('the window is full', () => client.soFar(id).body.length === 65_535),
    takeAll: (id: number) => client.write(windowUpdate(0, LONG.length), windowUpdate(id, LONG.length)),
  };
}

test('a whole response that a slow client has not taken yet outlives the reset behind it', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  const { client, full, takeAll } = await slowClient(proxy.port);
  using _ = client;
  const id = client.request({ method: 'POST', path: '/early' }, false);
  const { upstream, id: streamId } = await app.got('/early');
  answerAtLength(upstream, streamId);
  // The server needs no more of the request (RFC 9113 §8.1).
  upstream.write(rstStream(streamId, CODE.NO_ERROR));
  await upstream.roundTrip();
  await full(id);
  takeAll(id);
  const answer = await client.message(id);
  expect([answer.status, answer.body.equals(LONG)]).toEqual([200, true]);
  client.destroy();
  await quiet(proxy);
});

test('a whole response that a slow client has not taken yet outlives its connection', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  const { client, full, takeAll } = await slowClient(proxy.port);
  using _ = client;
  const [id, cut] = [client.request({ path: '/whole' }), client.request({ method: 'POST', path: '/cut' })];
  const { upstream, id: streamId } = await app.got('/whole');
  await app.got('/cut');
  answerAtLength(upstream, streamId);
  await full(id);
  upstream.socket.end();
  await eventually('the connection is gone', () => proxy.stat('cluster.app.upstream_cx_active') === 0);
  takeAll(id);
  const answer = await client.message(id);
  expect((await client.message(cut)).status).toBe(503);
  expect([answer.status, answer.body.equals(LONG)]).toEqual([200, true]);
  client.destroy();
  await quiet(proxy);
});
