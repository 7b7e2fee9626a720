import { describe, expect, test } from 'vitest';
import { data, endsStream, FLAG, type Frame, headers, SETTING } from '../../support/http2/frames.ts';
import { encode, type Fields, requestBlock } from '../../support/http2/hpack.ts';
import { Http2Peer } from '../../support/http2/peer.ts';
import { eventually, quiet } from '../../support/story.ts';
import { type Held, holdingUpstream, http2Story } from './holding-upstream.ts';
import { answerWell, head, OK } from './hostile/case.ts';

test.each(['204', '304'])(
  'a response without a body (%s) is over when the app says so, not when the request is',
  async (status) => {
    await using app = await holdingUpstream();
    await using proxy = await http2Story(app.port);
    using client = await Http2Peer.connect(proxy.port);
    const first = client.request({ method: 'POST', path: '/first' }, false);
    const { upstream, id } = await app.got('/first');
    upstream.write(head(id, [[':status', status]]));
    await client.frame('the response', (one) => one.streamId === first && endsStream(one));
    client.write(data(first, 'rest', true));
    const second = client.request({ path: '/second' });
    const next = await app.got('/second');
    // The end of the first response must not be taken for that of the second.
    upstream.write(data(id, '', true));
    answerWell(upstream, next.id);
    const answer = await client.message(second);
    expect([answer.status, answer.body.toString()]).toEqual([200, 'fine']);
    client.destroy();
    await quiet(proxy);
    expect(proxy.stat('http.test.downstream_rq_total')).toBe(2);
  },
);

const TUNNELS = {
  manager: `upgrade_configs: [{ upgrade_type: websocket }, { upgrade_type: CONNECT }]
http2_protocol_options: { allow_connect: true }`,
  routes: `- match: { connect_matcher: {} }
  route: { cluster: app }
- match: { prefix: / }
  route: { cluster: app }`,
};
const CONNECTS = { settings: { [SETTING.ENABLE_CONNECT_PROTOCOL]: 1 } };

/** `kind` as the request of a tunnel: extended CONNECT, or the plain one. */
function tunnelBlock(kind: string, more: Fields = []): Buffer {
  if (kind === 'CONNECT') return encode([[':method', 'CONNECT'], [':authority', 'there:443'], ...more]);
  return requestBlock({ method: 'CONNECT', path: '/chat', more: [[':protocol', kind], ...more] });
}

const bodyOf = (peer: Http2Peer, id: number): string => peer.soFar(id).body.toString();

describe.each(['websocket', 'CONNECT'])('a tunnel (%s) between HTTP/2 on both sides', (kind) => {
  async function begun(more: Fields = [], endStream = false) {
    const app = await holdingUpstream(CONNECTS);
    const proxy = await http2Story(app.port, TUNNELS);
    const client = await Http2Peer.connect(proxy.port);
    await client.roundTrip();
    const id = client.streamId();
    client.write(headers(id, tunnelBlock(kind, more), { endStream }));
    await eventually('the app has the request', () => app.held.length === 1);
    const { upstream, id: appId } = app.held[0] as Held;
    return {
      app,
      proxy,
      client,
      id,
      upstream,
      appId,
      async [Symbol.asyncDispose]() {
        client.destroy();
        await quiet(proxy);
        await proxy[Symbol.asyncDispose]();
        await app[Symbol.asyncDispose]();
      },
    };
  }
  const isEnd = (id: number) => (one: Frame) => one.streamId === id && endsStream(one);

  test('carries bytes both ways, whatever a content-length says, and each direction ends by itself', async () => {
    await using pair = await begun([['content-length', '0']]);
    const { client, id, upstream, appId } = pair;
    upstream.write(head(appId, [...OK, ['content-length', '0']]), data(appId, 'from the app'));
    await client.until('the bytes of the app', () => bodyOf(client, id) === 'from the app');
    expect(client.soFar(id).headers).not.toHaveProperty('content-length');
    client.write(data(id, 'from the client', true));
    await upstream.frame('the client’s end', isEnd(appId));
    expect(bodyOf(upstream, appId)).toBe('from the client');
    upstream.write(data(appId, ', and more', true));
    expect((await client.message(id)).body.toString()).toBe('from the app, and more');
  });

  test('keeps what the client says too early until it is granted', async () => {
    await using pair = await begun();
    const { client, id, upstream, appId } = pair;
    client.write(data(id, 'early '));
    await client.roundTrip();
    await upstream.roundTrip();
    expect(bodyOf(upstream, appId)).toBe('');
    upstream.write(head(appId, OK));
    client.write(data(id, 'late'));
    await upstream.until('all of it', () => bodyOf(upstream, appId) === 'early late');
  });

  test('passes on that the app ended its side with its head', async () => {
    await using pair = await begun();
    const { client, id, upstream, appId } = pair;
    upstream.write(head(appId, OK, FLAG.END_STREAM));
    await client.frame('the app’s end', isEnd(id));
    client.write(data(id, 'last words', true));
    await upstream.frame('the client’s end', isEnd(appId));
    expect(bodyOf(upstream, appId)).toBe('last words');
  });

  test('passes on that the client ended its side with its head', async () => {
    await using pair = await begun([], true);
    const { client, id, upstream, appId } = pair;
    upstream.write(head(appId, OK));
    await upstream.frame('the client’s end', isEnd(appId));
    upstream.write(data(appId, 'an answer', true));
    expect((await client.message(id)).body.toString()).toBe('an answer');
  });

  test('does not open where the app declines, and drops what the client said in its hope', async () => {
    await using pair = await begun();
    const { client, id, upstream, appId } = pair;
    client.write(data(id, 'in hope'));
    await client.roundTrip();
    upstream.write(head(appId, [[':status', '403']]), data(appId, 'no', true));
    const answer = await client.message(id);
    expect([answer.status, answer.body.toString()]).toEqual([403, 'no']);
    await upstream.roundTrip();
    expect(bodyOf(upstream, appId)).toBe('');
  });
});
