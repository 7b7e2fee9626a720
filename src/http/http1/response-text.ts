import type { HttpSettings } from '../connection-manager-settings.ts';
import type { HeaderMap } from '../headers.ts';
import type { RequestHead, ResponseHead } from '../message.ts';
import { STATUS_TEXT } from '../status-text.ts';
import { type Framing, headerLines, properCaseHeaderLines } from './message-writer.ts';

const statusLines: string[] = [];

function statusLine(status: number): string {
  statusLines[status] ??= `HTTP/1.1 ${status} ${STATUS_TEXT[status] ?? 'Unknown'}\r\n`;
  return statusLines[status];
}

/** Length of the status line, which is the same for both versions. */
export function statusLineBytes(status: number): number {
  return statusLine(status).length;
}

/** To a client of HTTP/1.0 in its own version where that is accepted, as Envoy does: some take no other. */
function statusLineFor(request: RequestHead, status: number, settings: HttpSettings): string {
  const line = statusLine(status);
  return request.protocol === 'HTTP/1.0' && settings.acceptHttp10 ? line.replace('1.1', '1.0') : line;
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
    tail = 'connection: Upgrade\r\n';
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
        // HEAD: what GET would have had (RFC 9110 §9.3.2).
        else if (response.status !== 304 && request.protocol !== 'HTTP/1.0' && response.indexOf('content-length') < 0)
          tail = 'transfer-encoding: chunked\r\n';
        break;
    }
    if (close) tail += 'connection: close\r\n';
    else if (request.protocol === 'HTTP/1.0') tail += 'connection: keep-alive\r\n';
  }
  const proper = settings.headerCase === 'proper';
  const lines = proper ? properCaseHeaderLines(response) : headerLines(response);
  return `${statusLineFor(request, response.status, settings)}${lines}${proper ? properTail(tail) : tail}\r\n`;
}

/** What may stand in the status line of a response that is not interim; 101 ends the exchange too. */
export function endsExchange(status: number): boolean {
  return Number.isInteger(status) && ((status >= 200 && status <= 999) || status === 101);
}

/** Makes the one `content-length` say `length`, touching the line only where it says something else. */
export function setContentLength(headers: HeaderMap, length: number): void {
  const index = headers.indexOf('content-length');
  const text = String(length);
  if (index < 0) headers.append('content-length', text);
  else if (headers.valueAt(index) !== text || headers.indexOf('content-length', index + 1) >= 0)
    headers.set('content-length', text);
}

export function properTail(tail: string): string {
  return tail.replace('transfer-encoding', 'Transfer-Encoding').replace('connection', 'Connection');
}
