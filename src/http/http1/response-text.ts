import type { HttpSettings } from '../connection-manager-settings.ts';
import type { HeaderMap } from '../headers.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import { STATUS_TEXT } from '../status-text.ts';
import { type Framing, headerLines, properCaseHeaderLines } from './message-writer.ts';

const statusLines: string[] = [];

function statusLine(status: number): string {
  statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? ''}\r\n`;
  return statusLines[status];
}

/** Text of an interim response. */
export function statusLineText(status: number, headers: HeaderMap | undefined): string {
  return `${statusLine(status)}${headers === undefined ? '' : headerLines(headers)}\r\n`;
}

/** Text of the head with exactly one framing; what the headers say of framing is brought in step. */
export function responseHeadText(
  response: ResponseHead,
  request: RequestHead,
  framing: Framing,
  contentLength: number,
  close: boolean,
  settings: HttpSettings,
): string {
  let tail = '';
  if (response.status === 101) {
    response.remove('content-length');
    tail = 'connection: upgrade\r\n';
  } else {
    switch (framing) {
      case 'length':
        setContentLength(response, contentLength);
        break;
      case 'chunked':
        response.remove('content-length');
        tail = 'transfer-encoding: chunked\r\n';
        break;
      case 'close':
        response.remove('content-length');
        break;
      case 'none':
        if (response.status === 204) response.remove('content-length');
        break;
    }
    if (close) tail += 'connection: close\r\n';
    else if (request.protocol === 'HTTP/1.0') tail += 'connection: keep-alive\r\n';
  }
  const proper = settings.headerCase === 'proper';
  const lines = proper ? properCaseHeaderLines(response) : headerLines(response);
  return `${statusLine(response.status)}${lines}${proper ? properTail(tail) : tail}\r\n`;
}

/** Makes the one `content-length` say `length`, touching the line only where it says something else. */
export function setContentLength(headers: HeaderMap, length: number): void {
  const index = headers.indexOf('content-length');
  const text = String(length);
  if (index < 0) headers.append('content-length', text);
  else if (headers.valueAt(index) !== text || headers.indexOf('content-length', index + 1) >= 0)
    headers.set('content-length', text);
}

function properTail(tail: string): string {
  return tail.replace('transfer-encoding', 'Transfer-Encoding').replace('connection', 'Connection');
}
