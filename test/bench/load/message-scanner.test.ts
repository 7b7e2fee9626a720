import { describe, expect, it } from 'vitest';
import { MessageScanner } from '../../../bench/load/message-scanner.ts';

const RESPONSES = Buffer.from(
  'HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 5\r\n\r\nhello' +
    'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nvia: y\r\n\r\n' +
    'HTTP/1.1 204 No Content\r\nx-content-length: 9\r\n\r\n' +
    'HTTP/1.1 200 OK\r\ncontent-length:  3\r\n\r\nabc',
);

describe('message scanner', () => {
  it('finds the same messages wherever the stream is cut', () => {
    for (let cut = 0; cut <= RESPONSES.length; cut++) {
      const statuses: number[] = [];
      const scanner = new MessageScanner((status) => statuses.push(status));
      const [first, second] = [RESPONSES.subarray(0, cut), RESPONSES.subarray(cut)];
      scanner.push(first, first.length);
      scanner.push(second, second.length);
      expect(statuses, `cut at ${cut}`).toEqual([200, 403, 204, 200]);
    }
  });

  it('finds them byte by byte, out of one reused buffer', () => {
    const statuses: number[] = [];
    const scanner = new MessageScanner((status) => statuses.push(status));
    const reused = Buffer.alloc(64);
    for (const byte of RESPONSES) {
      reused[0] = byte;
      scanner.push(reused, 1);
    }
    expect(statuses).toEqual([200, 403, 204, 200]);
  });

  it('hands the head of a request to a backend, after its body', () => {
    const heads: string[] = [];
    const scanner = new MessageScanner(
      (_status, head) => heads.push(head?.toString('latin1').split('\r\n', 1)[0] ?? ''),
      true,
    );
    const requests = Buffer.from(
      'POST /sink HTTP/1.1\r\ncontent-length: 2\r\n\r\nxxGET /100 HTTP/1.1\r\nhost: a\r\n\r\n',
    );
    scanner.push(requests, requests.length);
    expect(heads).toEqual(['POST /sink HTTP/1.1', 'GET /100 HTTP/1.1']);
  });

  it('refuses a response that it cannot frame', () => {
    const scanner = new MessageScanner(() => undefined);
    const chunked = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n');
    expect(() => scanner.push(chunked, chunked.length)).toThrow(/content-length/);
  });
});
