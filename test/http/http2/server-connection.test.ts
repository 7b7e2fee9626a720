import { expect, test } from 'vitest';
import {
  CODE,
  codeOf,
  data,
  endsStream,
  FLAG,
  type Frame,
  frame,
  headers,
  isAck,
  lastStreamOf,
  priority,
  rstStream,
  SETTING,
  settings,
  TYPE,
  uint32,
} from '../../support/http2/frames.ts';
import { encode, requestBlock } from '../../support/http2/hpack.ts';
import { Http2Peer } from '../../support/http2/peer.ts';
import { echo, echoed, eventually, startApp, story } from '../../support/story.ts';
import { type Held, holdingUpstream, http2Story, ONE_CONNECTION } from './holding-upstream.ts';
import { answerWell } from './hostile/case.ts';

const isOf = (type: number, streamId: number) => (one: Frame) => one.type === type && one.streamId === streamId;
const postHead = (id: number, path = '/'): Buffer =>
  headers(id, requestBlock({ method: 'POST', path }), { endStream: false });

test('a stream that depends on itself never begins', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const dependent = Buffer.concat([uint32(1), Buffer.from([15]), requestBlock({ path: '/dependent' })]);
  client.write(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM | FLAG.PRIORITY, 1, dependent));
  expect(await client.goAwayCode()).toBe(CODE.PROTOCOL_ERROR);
  using other = await Http2Peer.connect(proxy.port);
  other.write(priority(5, 5));
  expect(await other.goAwayCode()).toBe(CODE.PROTOCOL_ERROR);
  expect([client, other].flatMap(({ frames }) => frames.filter(({ type }) => type === TYPE.RST_STREAM))).toEqual([]);
  expect(app.held).toEqual([]);
});

test('an open stream that depends on itself is reset, and its neighbours go on', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const [bad, good] = [client.request({ path: '/bad' }), client.request({ path: '/good' })];
  await app.got('/bad');
  client.write(priority(bad, bad));
  expect(codeOf(await client.frame('the reset', isOf(TYPE.RST_STREAM, bad)))).toBe(CODE.PROTOCOL_ERROR);
  const { upstream, id } = await app.got('/good');
  answerWell(upstream, id);
  expect((await client.message(good)).status).toBe(200);
});

test('the last stream that a GOAWAY names never grows', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port, {
    manager: 'common_http_protocol_options: { max_requests_per_connection: 1 }',
  });
  using client = await Http2Peer.connect(proxy.port);
  const served = client.request({ path: '/served' });
  await app.got('/served');
  const refused = client.request({ path: '/refused' });
  expect(codeOf(await client.frame('the refusal', isOf(TYPE.RST_STREAM, refused)))).toBe(CODE.REFUSED_STREAM);
  client.write(data(0, 'against the rules'));
  await client.goAwayCode();
  const goAways = client.frames.filter(({ type }) => type === TYPE.GOAWAY);
  expect(goAways.map(lastStreamOf)).toEqual([served, served]);
  expect(app.held.length).toBe(1);
});

test('streams beyond a limit that the client cannot know yet are refused, and are no attack', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port, { manager: 'http2_protocol_options: { max_concurrent_streams: 1 }' });
  using client = await Http2Peer.connect(proxy.port, { acknowledges: false });
  const first = client.request({ path: '/first' });
  const refused = Array.from({ length: 1000 }, () => client.request());
  await client.frame('the last refusal', isOf(TYPE.RST_STREAM, refused.at(-1) as number));
  const { upstream, id } = await app.got('/first');
  answerWell(upstream, id);
  expect((await client.message(first)).status).toBe(200);
});

test('a client that knows the limit and goes on has to go', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port, { manager: 'http2_protocol_options: { max_concurrent_streams: 1 }' });
  using client = await Http2Peer.connect(proxy.port);
  await client.frame('the settings', ({ type }) => type === TYPE.SETTINGS);
  await client.roundTrip();
  for (let i = 0; i < 1200; i++) client.request();
  expect(await client.goAwayCode()).toBe(CODE.ENHANCE_YOUR_CALM);
});

test('every size of the header table that settings go through is told to the client’s decoder', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const answered = async (path: string): Promise<Frame> => {
    const stream = client.request({ path });
    const { upstream, id } = await app.got(path);
    answerWell(upstream, id);
    await client.message(stream);
    return client.frame('the head', isOf(TYPE.HEADERS, stream));
  };
  await answered('/1');
  const table = (bytes: number): Buffer => settings({ [SETTING.HEADER_TABLE_SIZE]: bytes }).subarray(9);
  client.write(frame(TYPE.SETTINGS, 0, 0, Buffer.concat([table(0), table(4096)])));
  await client.roundTrip();
  const { payload } = await answered('/2');
  // A size update to 0, then one to 4096 (RFC 7541 §4.2).
  expect([...payload.subarray(0, 4)]).toEqual([0x20, 0x3f, 0xe1, 0x1f]);
});

test('an answer to a PING that was not sent changes no window', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  for (let i = 0; i < 10; i++) client.write(frame(TYPE.PING, FLAG.ACK, 0, Buffer.from('outgrow\0')));
  await client.roundTrip();
  expect(client.frames.filter((one) => one.type === TYPE.SETTINGS && !isAck(one)).length).toBe(1);
});

test('the end of a request, trailers included, waits for the hook that holds its head', async () => {
  let release: () => void = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await using app = await startApp(echo());
  await using proxy = await story({
    app: app.port,
    filters: [{ onRequest: () => held }],
    cluster: 'http_protocol_options: { enable_trailers: true }',
  });
  using client = await Http2Peer.connect(proxy.port);
  const id = client.streamId();
  client.write(postHead(id, '/held'), headers(id, encode([['x-last', 'word']])));
  await client.roundTrip();
  release();
  const answer = await client.message(id);
  const asked = echoed({ ...answer, headers: {}, trailers: {}, body: answer.body.toString('latin1') });
  expect([answer.status, asked.body, asked.trailers]).toEqual([200, '', { 'x-last': 'word' }]);
});

test('late frames of a stream that the client was told to forget are dropped', async () => {
  await using app = await holdingUpstream();
  await using proxy = await http2Story(app.port);
  using client = await Http2Peer.connect(proxy.port);
  const id = client.streamId();
  client.write(postHead(id, '/early'));
  const held = await app.got('/early');
  answerWell(held.upstream, held.id);
  expect(codeOf(await client.frame('the reset', isOf(TYPE.RST_STREAM, id)))).toBe(CODE.NO_ERROR);
  client.write(data(id, 'late'), headers(id, encode([['x-late', 'trailer']])), rstStream(id));
  const next = client.request({ path: '/next' });
  const second = await app.got('/next');
  answerWell(second.upstream, second.id);
  expect((await client.message(next)).status).toBe(200);
});

test('uploads that wait for each other do not keep the one that runs from coming in', async () => {
  await using app = await holdingUpstream({ settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 1 } });
  await using proxy = await http2Story(app.port, { cluster: ONE_CONNECTION });
  // No round trip is over so soon that it could make the windows grow.
  using client = await Http2Peer.connect(proxy.port, { acknowledges: false });
  const warm = client.request({ path: '/warm' });
  const first = await app.got('/warm');
  answerWell(first.upstream, first.id);
  await client.message(warm);
  const running = client.streamId();
  client.write(postHead(running, '/running'));
  const { upstream, id } = await app.got('/running');
  // Each as much as a stream may send at once: more than the first window of the connection in all.
  const waiting = Array.from({ length: 8 }, () => client.streamId());
  const windowOf = (streamId: number): number =>
    client.frames
      .filter((one) => one.type === TYPE.WINDOW_UPDATE && one.streamId === streamId)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535);
  let sent = 0;
  const send = async (streamId: number, bytes: number, end: boolean): Promise<void> => {
    for (let left = bytes; left > 0; left -= 16_000) {
      const size = Math.min(left, 16_000);
      sent += size;
      await client.until('the window of the connection', () => windowOf(0) >= sent);
      client.write(data(streamId, Buffer.alloc(size), end && left === size));
    }
  };
  for (const streamId of waiting) {
    client.write(postHead(streamId, `/${streamId}`));
    await send(streamId, 200_000, true);
  }
  await send(running, 200_000, true);
  await upstream.frame('the end of the upload', (one) => one.streamId === id && endsStream(one));
  expect(upstream.soFar(id).body.length).toBe(200_000);
  for (let answered = 1; answered <= 1 + waiting.length; answered++) {
    await eventually('the next one is with the app', () => app.held.length > answered);
    const next = app.held[answered] as Held;
    answerWell(next.upstream, next.id);
  }
  for (const streamId of waiting) expect((await client.message(streamId)).status).toBe(200);
});
