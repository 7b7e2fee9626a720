import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { continuation, data, FLAG, frame, headers, nameOf, SETTING, settingsOf, TYPE } from './frames.ts';
import { encode, HpackDecoder, indexed, integer, literal, requestBlock, responseBlock, tableSize } from './hpack.ts';
import { Http2Peer, serveHttp2 } from './peer.ts';

test('a client of frames talks to Node’s server', async () => {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      response.setHeader('x-path', request.url);
      response.write(`${request.method} ${body}`);
      response.addTrailers({ 'x-sum': '1' });
      response.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const peer = await Http2Peer.connect((server.address() as AddressInfo).port);
  try {
    const id = peer.streamId();
    const block = requestBlock({ method: 'POST', path: '/path' });
    peer.write(headers(id, block.subarray(0, 5), { endStream: false, endHeaders: false }));
    peer.write(continuation(id, block.subarray(5)), data(id, 'hel'), data(id, 'lo', true));
    const message = await peer.message(id);
    expect(message).toMatchObject({ status: 200, headers: { 'x-path': '/path' }, trailers: [['x-sum', '1']] });
    expect(message.body.toString()).toBe('POST hello');
    expect((await peer.ask({ path: '/again' })).headers['x-path']).toBe('/again');
    await peer.roundTrip();
  } finally {
    peer.destroy();
    server.close();
  }
});

test('a server of frames talks to Node’s client', async () => {
  await using server = await serveHttp2((peer, id, request) => {
    const fields = Object.fromEntries(request.fields ?? []);
    peer.write(frame(TYPE.HEADERS, FLAG.END_HEADERS, id, responseBlock(200, [['x-path', fields[':path'] ?? '']])));
    peer.write(data(id, `cookie ${fields.cookie}`, true));
  });
  const client = connect(`http://127.0.0.1:${server.port}`, { settings: { initialWindowSize: 70_000 } });
  try {
    // The second request comes with entries of the table.
    for (let i = 0; i < 2; i++) {
      const stream = client.request({ ':path': '/some/path', cookie: 'a=1' });
      let got = '';
      let path: unknown;
      stream.on('response', (fields) => {
        path = fields['x-path'];
      });
      for await (const chunk of stream) got += chunk;
      expect([path, got]).toEqual(['/some/path', 'cookie a=1']);
    }
    const first = server.peers[0]?.frames.find(({ type }) => type === TYPE.SETTINGS);
    expect(first !== undefined && settingsOf(first).get(SETTING.INITIAL_WINDOW_SIZE)).toBe(70_000);
  } finally {
    client.destroy();
  }
});

test('the decoder reads what RFC 7541 shows in its appendix C', () => {
  const decoder = new HpackDecoder();
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
  expect(integer(1337, 5)).toEqual(hex('1f9a0a'));
  // C.4.1 to C.4.3: Huffman, and a table that grows.
  const request = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  expect(decoder.decode(hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))).toEqual(request);
  expect(decoder.decode(hex('8286 84be 5886 a8eb 1064 9cbf'))).toEqual([...request, ['cache-control', 'no-cache']]);
  expect(decoder.decode(Buffer.concat([tableSize(0), encode([['a', 'b']]), literal('c', 'd', 'never')]))).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  expect(() => decoder.decode(indexed(62))).toThrow('no entry 62');
  expect(nameOf(TYPE, 4)).toBe('SETTINGS');
});
