import { get, post, REFUSED, request, type Scenario } from '../harness/case.ts';

const CL_TE = 'POST / HTTP/1.1\r\nHost: test.example\r\n';
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n';

/** A chunked body whose last bytes are given as they are. */
function chunked(body: string): string {
  return `${CL_TE}Transfer-Encoding: chunked\r\n\r\n${body}`;
}

function framed(lines: string, body: string): string {
  return `${CL_TE}${lines}\r\n\r\n${body}`;
}

/** Requests that two servers could read differently. */
export const smuggling: Scenario = {
  name: 'smuggling',
  cases: [
    {
      name: 'length and chunked',
      send: framed('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`),
    },
    {
      name: 'chunked and length',
      send: framed('Transfer-Encoding: chunked\r\nContent-Length: 4', `0\r\n\r\n${SMUGGLED}`),
    },
    { name: 'two equal lengths', send: framed('Content-Length: 2\r\nContent-Length: 2', 'ok') },
    { name: 'two different lengths', send: framed('Content-Length: 2\r\nContent-Length: 40', `ok${SMUGGLED}`) },
    { name: 'a list of equal lengths', send: framed('Content-Length: 2, 2', 'ok') },
    { name: 'a list of different lengths', send: framed('Content-Length: 2, 40', `ok${SMUGGLED}`) },
    { name: 'a length with a sign', send: framed('Content-Length: +2', 'ok') },
    { name: 'a negative length', send: framed('Content-Length: -1', 'ok') },
    { name: 'a length of hexadecimal digits', send: framed('Content-Length: 0x2', 'ok') },
    {
      name: 'a length with leading zeros',
      differs: { 'length-rewritten': ['upstream'] },
      send: framed('Content-Length: 0002', 'ok'),
    },
    { name: 'a length with a space inside', send: framed('Content-Length: 2 2', 'ok') },
    { name: 'an empty length', send: framed('Content-Length: ', 'ok') },
    { name: 'a length of 20 digits', send: framed('Content-Length: 99999999999999999999', 'ok') },
    { name: 'a length of 2^64 and 2', send: framed('Content-Length: 18446744073709551618', 'ok') },
    { name: 'a length with a vertical tab', send: framed('Content-Length: \x0b2', 'ok') },
    { name: 'an unknown coding', send: framed('Transfer-Encoding: gzip', 'ok') },
    { name: 'an unknown coding before chunked', send: framed('Transfer-Encoding: gzip, chunked', '0\r\n\r\n') },
    { name: 'chunked before an unknown coding', send: framed('Transfer-Encoding: chunked, gzip', '0\r\n\r\n') },
    { name: 'chunked twice', send: framed('Transfer-Encoding: chunked, chunked', '0\r\n\r\n') },
    {
      name: 'chunked in two lines',
      send: framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    },
    {
      name: 'chunked and identity in two lines',
      send: framed('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '0\r\n\r\n'),
    },
    { name: 'identity', send: framed('Transfer-Encoding: identity', SMUGGLED) },
    {
      name: 'identity and a length',
      differs: { 'order-of-faults': ['status', 'headers', 'body', 'flags', 'details', 'log'] },
      send: framed('Transfer-Encoding: identity\r\nContent-Length: 2', 'ok'),
    },
    { name: 'chunked in capitals', send: framed('Transfer-Encoding: CHUNKED', '2\r\nok\r\n0\r\n\r\n') },
    { name: 'chunked in quotes', send: framed('Transfer-Encoding: "chunked"', '0\r\n\r\n') },
    { name: 'xchunked', send: framed('Transfer-Encoding: xchunked', '0\r\n\r\n') },
    { name: 'chunked with a vertical tab', send: framed('Transfer-Encoding: \x0bchunked', '0\r\n\r\n') },
    { name: 'chunked with a trailing comma', send: framed('Transfer-Encoding: chunked,', '0\r\n\r\n') },
    { name: 'an empty coding', send: framed('Transfer-Encoding:', 'ok') },
    { name: 'a space before the colon', send: framed('Content-Length : 2', 'ok') },
    { name: 'a tab before the colon', send: framed('Transfer-Encoding\t: chunked', '0\r\n\r\n') },
    {
      name: 'a name that begins with a space',
      differs: { 'obsolete-folding': REFUSED.filter((facet) => facet !== 'fate') },
      send: framed('X-A: b\r\n Transfer-Encoding: chunked', '0\r\n\r\n'),
      responses: 2,
    },
    { name: 'the first line begins with a space', send: 'GET / HTTP/1.1\r\n Host: test.example\r\n\r\n' },
    { name: 'a folded line', differs: { 'obsolete-folding': REFUSED }, send: get('/', 'X-A: b\r\n c') },
    { name: 'a folded line with a tab', differs: { 'obsolete-folding': REFUSED }, send: get('/', 'X-A: b\r\n\tc') },
    {
      name: 'a folded coding',
      differs: { 'obsolete-folding': REFUSED },
      send: framed('Transfer-Encoding:\r\n chunked', '0\r\n\r\n'),
    },
    { name: 'NUL in a value', send: get('/', 'X-A: a\0b') },
    { name: 'NUL in a name', send: get('/', 'X\0A: b') },
    { name: 'NUL in the path', send: get('/a\0b') },
    { name: 'CR in a value', differs: { 'strict-line-ends': REFUSED }, send: get('/', 'X-A: a\rb') },
    { name: 'CR at the end of a name', send: get('/', 'X-A\r: b') },
    { name: 'CR as the end of a line', send: 'GET / HTTP/1.1\rHost: test.example\r\n\r\n' },
    {
      name: 'CR CR LF',
      differs: { 'strict-line-ends': REFUSED },
      send: 'GET / HTTP/1.1\r\nHost: test.example\r\r\n\r\n',
    },
    { name: 'a vertical tab in a value', send: get('/', 'X-A: a\x0bb') },
    { name: 'DEL in a value', send: get('/', 'X-A: a\x7fb') },
    { name: 'an escape in a value', send: get('/', 'X-A: a\x1bb') },
    { name: 'a line without a colon', send: get('/', 'nonsense') },
    { name: 'a line with a colon only', send: get('/', ':') },
    { name: 'a pseudo-header', send: get('/', ':path: /other') },
    { name: 'a bracket in a name', send: get('/', 'X(A): b') },
    { name: 'obs-text in a name', send: get('/', 'X\xe9: b') },
    { name: 'two Hosts', differs: { 'one-host': REFUSED }, send: get('/', 'Host: other.example') },
    { name: 'two equal Hosts', differs: { 'one-host': REFUSED }, send: get('/', 'Host: test.example') },
    {
      name: 'connection names Host',
      differs: { 'connection-nominates': ['headers', 'body', 'flags', 'details', 'log'] },
      send: get('/', 'Connection: Host'),
    },
    {
      name: 'connection names content-length',
      differs: { 'connection-nominates': REFUSED },
      send: post('/', 'ok', 'Connection: Content-Length'),
    },
    {
      name: 'connection names authorization',
      differs: { 'connection-nominates': REFUSED },
      send: get('/', 'Connection: Authorization', 'Authorization: Basic x'),
    },
    {
      name: 'connection names cookie',
      differs: { 'connection-nominates': REFUSED },
      send: get('/', 'Connection: Cookie', 'Cookie: a=b'),
    },
    {
      name: 'connection names x-forwarded-for',
      send: get('/', 'Connection: X-Forwarded-For', 'X-Forwarded-For: 1.2.3.4'),
    },
    {
      name: 'connection names x-forwarded-proto',
      send: get('/', 'Connection: X-Forwarded-Proto', 'X-Forwarded-Proto: https'),
    },
    {
      name: 'connection names transfer-encoding',
      differs: { 'connection-nominates': REFUSED },
      send: request('POST /', ['Connection: Transfer-Encoding', 'Transfer-Encoding: chunked'], '2\r\nok\r\n0\r\n\r\n'),
    },
    { name: 'a GET in the body of a GET', send: request('GET /', ['Content-Length: 45'], SMUGGLED.slice(0, 45)) },
  ],
};

/** Bodies in chunks that are wrong somewhere. The upstream must not take any of them for complete. */
export const badChunks: Scenario = {
  name: 'bad-chunks',
  cases: [
    { name: 'no size', send: chunked('\r\nok\r\n0\r\n\r\n') },
    { name: 'a size that is no number', send: chunked('zz\r\nok\r\n0\r\n\r\n') },
    { name: 'a size with a sign', send: chunked('+2\r\nok\r\n0\r\n\r\n') },
    { name: 'a size with 0x', send: chunked('0x2\r\nok\r\n0\r\n\r\n') },
    { name: 'a negative size', send: chunked('-2\r\nok\r\n0\r\n\r\n') },
    { name: 'a space before the size', send: chunked(' 2\r\nok\r\n0\r\n\r\n') },
    { name: 'a space behind the size', differs: { 'strict-chunks': REFUSED }, send: chunked('2 \r\nok\r\n0\r\n\r\n') },
    { name: 'a size of 17 digits', send: chunked('10000000000000002\r\nok\r\n0\r\n\r\n') },
    {
      name: 'a size of 16 digits',
      differs: { 'strict-chunks': REFUSED },
      send: chunked('FFFFFFFFFFFFFFFF\r\nok\r\n0\r\n\r\n'),
    },
    { name: 'LF behind the size', send: chunked('2\nok\r\n0\r\n\r\n') },
    { name: 'CR alone behind the size', send: chunked('2\rok\r\n0\r\n\r\n') },
    { name: 'LF behind the data', differs: { 'strict-chunks': REFUSED }, send: chunked('2\r\nok\n0\r\n\r\n') },
    { name: 'more data than the size', differs: { 'strict-chunks': REFUSED }, send: chunked('2\r\nokay\r\n0\r\n\r\n') },
    {
      name: 'less data than the size',
      differs: { 'bytes-before-fault': ['log'] },
      send: chunked('5\r\nok\r\n0\r\n\r\n'),
      probe: false,
      responses: 0,
    },
    { name: 'LF at the end', send: chunked('2\r\nok\r\n0\n\n') },
    {
      name: 'an extension with NUL',
      differs: { 'strict-chunks': REFUSED },
      send: chunked('2;a\0b\r\nok\r\n0\r\n\r\n'),
    },
    { name: 'an extension with LF', send: chunked('2;a\nok\r\n0\r\n\r\n') },
    { name: 'an extension with CR', send: chunked('2;a\rb\r\nok\r\n0\r\n\r\n') },
    {
      name: 'an extension of 20,000 bytes',
      differs: { 'strict-chunks': REFUSED },
      send: chunked(`2;${'e'.repeat(20_000)}\r\nok\r\n0\r\n\r\n`),
    },
    { name: 'a quoted extension with a semicolon', send: chunked('2;a="b;c"\r\nok\r\n0\r\n\r\n') },
    { name: 'a trailer without a colon', send: chunked('2\r\nok\r\n0\r\nnonsense\r\n\r\n') },
    { name: 'a trailer with NUL', send: chunked('2\r\nok\r\n0\r\nX: a\0\r\n\r\n') },
    {
      name: 'a folded trailer',
      differs: { 'obsolete-folding': REFUSED },
      send: chunked('2\r\nok\r\n0\r\nX: a\r\n b\r\n\r\n'),
    },
    { name: 'an error after 30 ms', send: [chunked('2\r\nok\r\n'), 30, 'zz\r\n'] },
    {
      name: 'the client ends in the middle of a chunk',
      send: [chunked('5\r\nok'), 80, 'FIN'],
      responses: 0,
      probe: false,
    },
    {
      name: 'the client ends in the middle of a length',
      send: [framed('Content-Length: 5', 'ok'), 80, 'FIN'],
      responses: 0,
      probe: false,
    },
    {
      name: 'the client ends in the middle of its head',
      send: ['GET / HTTP/1.1\r\nHost: te', 80, 'FIN'],
      responses: 0,
      probe: false,
    },
    {
      name: 'the client resets in the middle of its body',
      send: [framed('Content-Length: 5', 'ok'), 80, 'RST'],
      responses: 0,
      probe: false,
    },
    { name: 'the client ends after connecting', send: ['FIN'], responses: 0, probe: false },
  ],
};

function lines(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `X-${index}: v`);
}

/** Limits of heads with their defaults: 60 KiB and 100 headers. */
export const headLimits: Scenario = {
  name: 'head-limits',
  cases: [
    { name: '100 headers', send: get('/', ...lines(99)) },
    { name: '101 headers', send: get('/', ...lines(100)) },
    { name: '300 headers', send: get('/', ...lines(300)) },
    { name: '59 KiB', send: get('/', `X-A: ${'v'.repeat(59 * 1024)}`) },
    { name: '61 KiB in one value', send: get('/', `X-A: ${'v'.repeat(61 * 1024)}`) },
    {
      name: '61 KiB in 61 values',
      send: get('/', ...Array.from({ length: 61 }, (_, i) => `X-${i}: ${'v'.repeat(1024)}`)),
    },
    { name: '61 KiB in the path', send: get(`/${'p'.repeat(61 * 1024)}`) },
    { name: '61 KiB in a name', send: get('/', `${'n'.repeat(61 * 1024)}: v`) },
    { name: '61 KiB in the method', send: `${'M'.repeat(61 * 1024)} / HTTP/1.1\r\n\r\n` },
    { name: '61 KiB without an end', send: `GET / HTTP/1.1\r\nHost: test.example\r\nX-A: ${'v'.repeat(61 * 1024)}` },
    {
      name: '101 headers in a response',
      send: get('/'),
      upstream: [`HTTP/1.1 200 OK\r\n${lines(101).join('\r\n')}\r\ncontent-length: 0\r\n\r\n`],
    },
    {
      name: '61 KiB in a response',
      send: get('/'),
      upstream: [`HTTP/1.1 200 OK\r\nx-a: ${'v'.repeat(61 * 1024)}\r\ncontent-length: 0\r\n\r\n`],
    },
    {
      name: '81 KiB in a response',
      send: get('/'),
      upstream: [`HTTP/1.1 200 OK\r\nx-a: ${'v'.repeat(81 * 1024)}\r\ncontent-length: 0\r\n\r\n`],
    },
  ],
};

export const smallLimits: Scenario = {
  name: 'small-limits',
  manager: 'max_request_headers_kb: 1\ncommon_http_protocol_options: { max_headers_count: 5 }',
  cases: [
    { name: '5 headers', send: get('/', ...lines(4)) },
    { name: '6 headers', send: get('/', ...lines(5)) },
    { name: '2 KiB', send: get('/', `X-A: ${'v'.repeat(2048)}`) },
  ],
};
