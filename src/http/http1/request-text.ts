import { isValidAuthority } from '../authority.ts';
import type { RequestHead } from '../message.ts';
import { type Framing, headerLines, properCaseHeaderLines } from './message-writer.ts';
import { properTail, setContentLength } from './response-text.ts';

const PATH = /^(\/[\x21-\x7e]*|\*)$/;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * Text of a request head for an upstream connection, with exactly one framing. Throws a TypeError when a filter left
 * a method, path or authority that cannot stand in a request line.
 */
export function requestHeadText(
  request: RequestHead,
  framing: Framing,
  contentLength: number,
  properCase: boolean,
): string {
  const isConnect = request.method === 'CONNECT';
  const target = isConnect ? request.authority : request.path;
  if (!isConnect && target !== request.receivedPath && !PATH.test(target))
    throw new TypeError('the path does not begin with / or holds bytes that no request line may carry');
  if (request.authority !== request.receivedAuthority && !isValidAuthority(request.authority))
    throw new TypeError('the authority holds bytes that no host may carry');
  if (!TOKEN.test(request.method)) throw new TypeError('the method is not a token');
  request.writeHost();
  let tail = '';
  switch (framing) {
    case 'length':
      if (contentLength > 0 || request.has('content-length') || mayHaveBody(request.method))
        setContentLength(request, contentLength);
      break;
    case 'chunked':
      request.remove('content-length');
      tail = 'transfer-encoding: chunked\r\n';
      break;
    default:
      request.remove('content-length');
  }
  if (request.upgrade !== '') tail += 'connection: Upgrade\r\n';
  const lines = properCase ? properCaseHeaderLines(request) : headerLines(request);
  return `${request.method} ${target} HTTP/1.1\r\n${lines}${properCase ? properTail(tail) : tail}\r\n`;
}

/** Methods for which a missing length would leave a server guessing (RFC 9110 §8.6); Envoy's choice of them. */
function mayHaveBody(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'DELETE' && method !== 'TRACE';
}
