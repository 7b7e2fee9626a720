import type { Connection } from '../../network/connection.ts';
import { type Flushable, flushQueue } from '../../network/flush-queue.ts';
import type { HeaderMap } from '../headers.ts';

/** How the end of a body is marked: by its length, by chunks, by the end of the connection, or there is none. */
export type Framing = 'none' | 'length' | 'chunked' | 'close';

/** Up to here pieces are gathered as text and leave together at the end of the event. */
const GATHER_BYTES = 8 * 1024;
/** From here a body piece in stable memory is written without a copy. */
const STABLE_WRITE_BYTES = 16 * 1024;

/**
 * Writes one HTTP/1 message after the other to a connection: the head leaves with the first bytes of the body, small
 * pieces of one event leave in one system call, and exactly one framing is emitted.
 */
export class MessageWriter implements Flushable {
  connection: Connection;
  /** Called when the kernel did not take everything: the source of the body should pause until the connection drains. */
  readonly onCongested: () => void;
  /** Of the last message: its head, and all of it. */
  headBytes = 0;
  sentBytes = 0;
  private text = '';
  private scheduled = false;
  private framing: Framing = 'none';
  private remaining = 0;

  constructor(connection: Connection, onCongested: () => void) {
    this.connection = connection;
    this.onCongested = onCongested;
  }

  /** Begins a message. `head` ends with the empty line; `length` counts for framing `length`. */
  begin(head: string, framing: Framing, length: number): void {
    this.text += head;
    // What a tunnel carries belongs to the message before it.
    if (head !== '') {
      this.headBytes = head.length;
      this.sentBytes = head.length;
    }
    this.framing = framing;
    this.remaining = length;
    this.schedule();
  }

  /**
   * Writes a piece of the body. False: it does not fit the length that the head announced, so the connection must be
   * given up. `stable` memory stays untouched until the connection has drained.
   */
  body(buffer: Buffer, start: number, end: number, stable: boolean): boolean {
    const length = end - start;
    if (length === 0) return true;
    switch (this.framing) {
      case 'length':
        if (length > this.remaining) return false;
        this.remaining -= length;
        break;
      case 'chunked': {
        const size = `${length.toString(16)}\r\n`;
        this.text += size;
        this.sentBytes += size.length + 2;
        break;
      }
      case 'none':
        return false;
    }
    this.sentBytes += length;
    if (stable && length >= STABLE_WRITE_BYTES) {
      this.flush();
      if (!this.connection.writeStable(buffer, start, end)) this.onCongested();
    } else if (this.text.length + length <= GATHER_BYTES) {
      this.text += buffer.latin1Slice(start, end);
    } else {
      const prefix = this.text;
      this.text = '';
      if (!this.connection.writeAround(prefix, buffer, start, end, '')) this.onCongested();
    }
    if (this.framing === 'chunked') this.text += '\r\n';
    if (this.text !== '') this.schedule();
    return true;
  }

  /** Ends the message and writes what is left. False: the body is shorter than the head announced. */
  finish(trailers: HeaderMap | undefined): boolean {
    if (this.framing === 'length' && this.remaining > 0) return false;
    if (this.framing === 'chunked') {
      const end = trailers === undefined || trailers.length === 0 ? '0\r\n\r\n' : `0\r\n${headerLines(trailers)}\r\n`;
      this.text += end;
      this.sentBytes += end.length;
    }
    this.framing = 'none';
    this.flush();
    return true;
  }

  /** Writes text outside any message, such as an interim response. */
  raw(text: string): void {
    this.text += text;
    this.schedule();
  }

  flush(): void {
    this.scheduled = false;
    if (this.text === '') return;
    const text = this.text;
    this.text = '';
    if (!this.connection.writeText(text)) this.onCongested();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    flushQueue.add(this);
  }
}

/** `name: value` lines: untouched neighbours as the one piece of text that they came in, changed ones written anew. */
export function headerLines(headers: HeaderMap): string {
  const { names, lineStart, lineEnd, raw } = headers;
  let text = '';
  let runStart = -1;
  let runEnd = -1;
  for (let i = 0; i < headers.length; i++) {
    const name = names[i] as string;
    if (name === '') continue;
    const start = lineStart[i] as number;
    if (start >= 0) {
      if (start !== runEnd) {
        if (runEnd >= 0) text += raw.substring(runStart, runEnd);
        runStart = start;
      }
      runEnd = lineEnd[i] as number;
      continue;
    }
    if (runEnd >= 0) {
      text += raw.substring(runStart, runEnd);
      runEnd = -1;
    }
    if (isFramingOfOurs(name)) continue;
    text += `${headers.spellings[i] ?? name}: ${headers.valueAt(i)}\r\n`;
  }
  return runEnd >= 0 ? text + raw.substring(runStart, runEnd) : text;
}

/** What the codec alone says; those that came were taken out, so this one was set by a filter or the configuration. */
function isFramingOfOurs(name: string): boolean {
  return name === 'transfer-encoding' || name === 'connection';
}

/** `x-envoy-original-path` → `X-Envoy-Original-Path`: Envoy's `proper_case_words`. */
export function properCase(name: string): string {
  return name.replace(/(^|[^a-z0-9])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
}

/** As `headerLines`, every name in the spelling of `proper_case_words`. */
export function properCaseHeaderLines(headers: HeaderMap): string {
  let text = '';
  for (let i = 0; i < headers.length; i++) {
    const name = headers.names[i] as string;
    if (name !== '' && !isFramingOfOurs(name)) text += `${properCase(name)}: ${headers.valueAt(i)}\r\n`;
  }
  return text;
}
