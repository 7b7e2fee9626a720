import type { TestRequest } from '../filter/harness.ts';
import type { TestConnection } from '../filter/harness-network.ts';

/** One canned request, and how reports call it. */
export interface CannedRequest {
  readonly title: string;
  readonly request: TestRequest;
}

const browser = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  accept: 'text/html,application/json;q=0.9,*/*;q=0.8',
  'accept-encoding': 'gzip, br',
  cookie: 'session=0123456789abcdef; theme=dark',
  'x-request-id': '6f1f2c3a-8d4e-4f5a-9b6c-7d8e9f0a1b2c',
};
const json = { 'content-type': 'application/json' };
const order = {
  id: 17,
  user: { name: 'Ada', password: 'hunter2', email: 'ada@example.com' },
  items: [{ sku: 'a', n: 2 }],
};

/** What a sidecar meets: everyday requests first, then the odd and the hostile. */
export const CANNED_REQUESTS: readonly CannedRequest[] = [
  { title: 'GET, a browser', request: { path: '/orders/17?full=1', headers: browser } },
  { title: 'GET, no headers at all', request: { path: '/' } },
  { title: 'HEAD', request: { method: 'HEAD', path: '/health' } },
  { title: 'POST, JSON', request: { method: 'POST', path: '/orders', headers: json, body: JSON.stringify(order) } },
  {
    title: 'POST, JSON in three pieces, split inside a character',
    request: { method: 'POST', path: '/orders', headers: json, body: splitUtf8('{"name":"Zoë","n":1}') },
  },
  {
    title: 'PUT, 1 MiB in pieces of 64 KiB',
    request: { method: 'PUT', path: '/files/big', body: Array.from({ length: 16 }, () => Buffer.alloc(65536, 'x')) },
  },
  {
    title: 'gRPC with trailers',
    request: {
      method: 'POST',
      path: '/shop.Orders/Get',
      headers: { 'content-type': 'application/grpc', te: 'trailers' },
      body: new Uint8Array([0, 0, 0, 0, 2, 8, 17]),
      trailers: { 'x-checksum': '1' },
    },
  },
  {
    title: 'WebSocket upgrade',
    request: { path: '/chat', headers: { connection: 'upgrade', upgrade: 'websocket' }, upgrade: true },
  },
  { title: 'the app fails with 500', request: { path: '/fail' } },
  { title: 'the app answers 204 without a body', request: { method: 'DELETE', path: '/empty' } },
  { title: 'the app answers 302', request: { path: '/redirect' } },
  {
    title: 'hostile: repeated and contradicting headers',
    request: {
      headers: { host: ['a.test', 'b.test'], 'x-forwarded-for': ['127.0.0.1', '10.0.0.1'], cookie: ['a=1', 'a=2'] },
    },
  },
  { title: 'hostile: a header of 16 KiB', request: { headers: { 'x-long': 'A'.repeat(16384) } } },
  {
    title: 'hostile: bytes above ASCII, an empty value',
    request: { headers: { 'x-odd': 'caf\u00e9\u00ff', 'x-empty': '', authorization: 'Bearer \u00a0' } },
  },
  { title: 'hostile: a path that climbs and does not decode', request: { path: '/a/../../%2e%2e/%zz?x=%00&x[]=1' } },
  { title: 'hostile: a path of 8 KiB', request: { path: `/${'a'.repeat(8192)}` } },
  {
    title: 'hostile: a body that is not the JSON it says',
    request: { method: 'POST', headers: json, body: '{"a": [1, 2' },
  },
  {
    title: 'hostile: JSON nested 1000 deep with __proto__',
    request: {
      method: 'POST',
      headers: json,
      body: `{"__proto__":{"x":1},"a":${'['.repeat(1000)}${']'.repeat(1000)}}`,
    },
  },
];

export const CANNED_CONNECTIONS: readonly { title: string; connection: TestConnection }[] = [
  { title: 'a line and its answer', connection: { client: ['PING\r\n'], app: ['PONG\r\n'] } },
  { title: 'nothing is said', connection: {} },
  { title: 'one byte at a time', connection: { client: [...'hello'], app: [...'world'] } },
  { title: '1 MiB', connection: { client: Array.from({ length: 16 }, () => Buffer.alloc(65536, 'x')), app: ['ok'] } },
  {
    title: 'binary',
    connection: { client: [Uint8Array.from({ length: 256 }, (_, i) => i)], app: [new Uint8Array(3)] },
  },
  { title: 'from another address', connection: { client: ['hello'], remoteAddress: '203.0.113.9' } },
  { title: 'from an IPv6 address', connection: { client: ['hello'], remoteAddress: '2001:db8::1' } },
];

function splitUtf8(text: string): Uint8Array[] {
  const bytes = Buffer.from(text);
  const middle = bytes.findIndex((byte) => byte > 127) + 1;
  return [bytes.subarray(0, 3), bytes.subarray(3, middle), bytes.subarray(middle)];
}
