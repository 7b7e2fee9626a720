/** A small, forgiving reader of HTTP/1 messages for what proxies wrote; it is no proof of validity. */

export interface Message {
  readonly startLine: string;
  /** `name: value`, in order. */
  readonly headers: readonly string[];
  readonly framing: 'none' | 'length' | 'chunked' | 'close';
  readonly body: string;
  readonly trailers: readonly string[];
  /** The body came to its end. */
  readonly complete: boolean;
}

/** Reads the messages in `text`; `bodiless` says whether message number `n` with this start line has no body whatever its headers say. */
export function readMessages(
  text: string,
  kind: 'request' | 'response',
  ended: boolean,
  bodiless: (index: number, startLine: string) => 'no' | 'bodiless' | 'tunnel',
): { messages: Message[]; rest: string } {
  const messages: Message[] = [];
  let rest = text;
  for (;;) {
    const headEnd = rest.indexOf('\r\n\r\n');
    if (headEnd < 0) return { messages, rest };
    const [startLine = '', ...headers] = rest.slice(0, headEnd).split('\r\n');
    const after = rest.slice(headEnd + 4);
    const how = bodiless(messages.length, startLine);
    const read = readBody(after, headers, kind, how, ended);
    messages.push({ startLine, headers, ...read.message });
    rest = read.rest;
    if (!read.message.complete || read.message.framing === 'close') return { messages, rest };
  }
}

type Body = Pick<Message, 'framing' | 'body' | 'trailers' | 'complete'>;

function readBody(
  text: string,
  headers: readonly string[],
  kind: 'request' | 'response',
  how: 'no' | 'bodiless' | 'tunnel',
  ended: boolean,
): { message: Body; rest: string } {
  if (how === 'tunnel') return { message: { framing: 'close', body: text, trailers: [], complete: true }, rest: '' };
  if (how === 'bodiless') return { message: { framing: 'none', body: '', trailers: [], complete: true }, rest: text };
  const coding = fieldOf(headers, 'transfer-encoding');
  if (coding?.toLowerCase().includes('chunked')) return readChunks(text);
  const length = fieldOf(headers, 'content-length');
  if (length !== undefined) {
    const bytes = Number(length);
    const body = text.slice(0, bytes);
    const complete = body.length === bytes;
    return { message: { framing: 'length', body, trailers: [], complete }, rest: text.slice(bytes) };
  }
  if (kind === 'request') return { message: { framing: 'none', body: '', trailers: [], complete: true }, rest: text };
  return { message: { framing: 'close', body: text, trailers: [], complete: ended }, rest: '' };
}

function readChunks(text: string): { message: Body; rest: string } {
  let body = '';
  let rest = text;
  const unfinished = () => ({ message: { framing: 'chunked' as const, body, trailers: [], complete: false }, rest });
  for (;;) {
    const lineEnd = rest.indexOf('\r\n');
    if (lineEnd < 0) return unfinished();
    const size = Number.parseInt(rest.slice(0, lineEnd), 16);
    if (Number.isNaN(size)) return unfinished();
    if (size === 0) break;
    const from = lineEnd + 2;
    if (rest.length < from + size + 2) {
      body += rest.slice(from, from + size);
      return unfinished();
    }
    body += rest.slice(from, from + size);
    rest = rest.slice(from + size + 2);
  }
  const section = rest.slice(rest.indexOf('\r\n') + 2);
  const trailers: string[] = [];
  let after = section;
  for (;;) {
    const lineEnd = after.indexOf('\r\n');
    if (lineEnd < 0) return unfinished();
    const line = after.slice(0, lineEnd);
    after = after.slice(lineEnd + 2);
    if (line === '') return { message: { framing: 'chunked', body, trailers, complete: true }, rest: after };
    trailers.push(line);
  }
}

/** Value of the first header of that lower-case name. */
export function fieldOf(headers: readonly string[], name: string): string | undefined {
  const line = headers.find((header) => header.slice(0, header.indexOf(':')).toLowerCase() === name);
  return line?.slice(line.indexOf(':') + 1).trim();
}
