import { describe, expect, test } from 'vitest';
import { headerLines } from '../../src/http/http1/message-writer.ts';
import { requestHeadText } from '../../src/http/http1/request-text.ts';
import { RequestHead, ResponseHead } from '../../src/http/message.ts';

function request(): RequestHead {
  const head = new RequestHead();
  head.method = 'GET';
  head.path = '/p';
  head.receivedPath = '/p';
  head.authority = 'a';
  head.receivedAuthority = 'a';
  head.append('host', 'a');
  return head;
}

describe('a request head', () => {
  test('answers and takes pseudo-headers and host as fields', () => {
    const head = request();
    head.set(':method', 'PUT');
    head.set(':path', '/q');
    head.set(':authority', 'b');
    head.set(':scheme', 'https');
    expect([head.method, head.path, head.authority, head.scheme]).toEqual(['PUT', '/q', 'b', 'https']);
    expect([head.get(':method'), head.get(':path'), head.get('host'), head.get(':scheme')]).toEqual([
      'PUT',
      '/q',
      'b',
      'https',
    ]);
    expect([head.has(':authority'), head.has('host'), head.has(':status')]).toEqual([true, true, false]);
    head.authority = '';
    expect([head.get('host'), head.has(':authority')]).toEqual([undefined, false]);
  });

  test.each(['host', 'Host', ':authority'])('has one Host line, also when %s is added', (name) => {
    const head = request();
    head.add(name, 'b');
    expect(requestHeadText(head, 'length', 0, false)).toBe('GET /p HTTP/1.1\r\nhost: b\r\n\r\n');
  });

  test('gets its Host line back when a filter removed it', () => {
    const head = request();
    head.remove('host');
    expect(requestHeadText(head, 'length', 0, false)).toBe('GET /p HTTP/1.1\r\nhost: a\r\n\r\n');
  });

  test('that is cleared holds nothing of the request before', () => {
    const head = request();
    head.upgrade = 'websocket';
    head.expectContinue = true;
    head.present = -1;
    head.clear();
    expect([...head]).toEqual([]);
    expect({
      ...head,
      names: [],
      values: [],
      spellings: [],
      lineStart: [],
      lineEnd: [],
      valueStart: [],
      valueEnd: [],
    }).toEqual({
      ...new RequestHead(),
    });
  });
});

describe('what a filter assigns cannot leave the request line', () => {
  test.each([
    '/a b',
    '/a\r\nx: y',
    '',
    'a',
    '/\xe9',
    '/\0',
    '/a HTTP/1.1\r\nhost: evil\r\n\r\n',
    'http://evil/',
    '/\u2603',
    '**',
  ])('path %j', (path) => {
    const head = request();
    head.path = path;
    expect(() => requestHeadText(head, 'length', 0, false)).toThrow(TypeError);
  });

  test.each(['', 'GE T', 'GET / HTTP/1.1\r\nx: y\r\n\r\nGET', 'GET\n', 'G\xe9T', 'GET:'])('method %j', (method) => {
    const head = request();
    head.method = method;
    expect(() => requestHeadText(head, 'length', 0, false)).toThrow(TypeError);
  });

  test.each(['a b', 'a\r\nx: y', 'a/b', 'a\0', 'a?b', 'a#b', '\u2603'])('authority %j', (authority) => {
    const head = request();
    head.authority = authority;
    expect(() => requestHeadText(head, 'length', 0, false)).toThrow(TypeError);
  });

  test.each(['a b', 'a\r\nx: y'])('authority %j of a CONNECT', (authority) => {
    const head = request();
    head.method = 'CONNECT';
    head.authority = authority;
    expect(() => requestHeadText(head, 'none', 0, false)).toThrow(TypeError);
  });
});

describe('a request’s framing', () => {
  const text = (
    framing: 'none' | 'length' | 'chunked',
    length: number,
    change: (head: RequestHead) => void,
  ): string => {
    const head = request();
    change(head);
    return requestHeadText(head, framing, length, false);
  };

  test('is one content-length, whatever filters added', () => {
    const made = text('length', 5, (head) => {
      head.add('content-length', '5');
      head.add('content-length', '50');
      head.add('transfer-encoding', 'chunked');
    });
    expect(made).toBe('GET /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n');
  });

  test('is chunked without a content-length', () => {
    const made = text('chunked', -1, (head) => head.add('content-length', '5'));
    expect(made).toBe('GET /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
  });

  test('says 0 for methods that have a body, and nothing for the others', () => {
    expect(text('length', 0, (head) => head.set(':method', 'POST'))).toContain('content-length: 0\r\n');
    expect(text('length', 0, () => {})).not.toContain('content-length');
  });
});

describe('a response head', () => {
  test('answers and takes :status as a field', () => {
    const head = new ResponseHead();
    head.set(':status', '404');
    expect([head.status, head.get(':status'), head.has(':status'), headerLines(head)]).toEqual([404, '404', true, '']);
  });
});
