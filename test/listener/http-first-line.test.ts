import { expect, test } from 'vitest';
import { HttpFirstLine, MAX_FIRST_LINE_BYTES } from '../../src/listener/http-first-line.ts';

const read = (text: string) => new HttpFirstLine().read(Buffer.from(text, 'latin1'));

test.each([
  ['GET / HTTP/1.1\r\n', 'http/1.1'],
  ['GET / HTTP/1.1\r\nhost: a\r\n\r\nmore', 'http/1.1'],
  ['GET / HTTP/1.1\n', 'http/1.1'],
  ['my-method * HTTP/1.1\r\n', 'http/1.1'],
  ['CONNECT host:443 HTTP/1.1\r\n', 'http/1.1'],
  ['GET /\xc3\xa4 HTTP/1.1\r\n', 'http/1.1'],
  ['GET / HTTP/1.0\r\n', 'http/1.0'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'h2c'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nframes', 'h2c'],
] as const)('%j speaks %s', (text, protocol) => {
  expect(read(text)).toBe(protocol);
});

test.each([
  '\r\nGET / HTTP/1.1\r\n',
  '\n',
  ' GET / HTTP/1.1\r\n',
  '\x16\x03\x01',
  '\0\0\0\x08\x04\xd2\x16\x2f',
  '*1\r\n',
  'EHLO\r\n',
  'EHLO example.test\r\n',
  'GET  ',
  'GET /\r\n',
  'GET / FTP',
  'GET / HTTP/1.1 ',
  'GET / HTTP/11',
  'GET / HTTP/1.11',
  'GET / HTTP/1.1\r\r',
  'GET / HTTP/1.\r\n',
  'GET /\x7f',
])('%j is no HTTP, and nothing more is waited for', (text) => {
  expect(read(text)).toBe('other');
});

test('every beginning waits for more, whether it comes in pieces or at once', () => {
  for (const text of ['GET /some/path HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PRI / HTTP/1.1\r\n']) {
    const reader = new HttpFirstLine();
    for (let length = 0; length < text.length; length++) {
      const part = Buffer.from(text.slice(0, length), 'latin1');
      expect(reader.read(part), `${length} bytes, one by one`).toBeUndefined();
      expect(new HttpFirstLine().read(part), `${length} bytes at once`).toBeUndefined();
    }
    expect(reader.read(Buffer.from(text, 'latin1'))).toBe(read(text));
    expect(read(text)).not.toBeUndefined();
  }
});

test('what begins like the preface of HTTP/2 and goes on otherwise is judged as a line', () => {
  expect(read('PRI * HTTP/2.0\r\n\r\nSX')).toBe('http/1.0');
  expect(read('PRI x')).toBeUndefined();
});

test('a line without an end is given up at 64 KiB', () => {
  const target = `GET /${'a'.repeat(MAX_FIRST_LINE_BYTES)}`;
  expect(read(target.slice(0, MAX_FIRST_LINE_BYTES - 1))).toBeUndefined();
  expect(read(target.slice(0, MAX_FIRST_LINE_BYTES))).toBe('other');
});
