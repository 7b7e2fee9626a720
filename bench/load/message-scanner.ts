const CR = 13;
const LF = 10;
const COLON = 58;
const SPACE = 32;
const ZERO = 48;
const NAME = 'content-length';

/** Called once per message, when its last byte has arrived; `status` is 0 for a request. */
export type OnMessage = (status: number, head: Buffer | undefined) => void;

/**
 * Finds the ends of HTTP/1.1 messages that are framed by content-length: all that a load generator and a bench backend
 * need to know. It is no parser for hostile input; a message that it cannot frame throws, and the caller counts it.
 */
export class MessageScanner {
  private readonly onMessage: OnMessage;
  /** Keep the head's bytes for `onMessage`: the backend reads its path, the generator does without. */
  private readonly keepHead: boolean;
  /** Bytes of body that are still to come; -1 while in a head. */
  private bodyLeft = -1;
  private status = 0;
  /** Start of a head that was cut by the end of a read. */
  private carry: Buffer | undefined;
  private head: Buffer | undefined;

  constructor(onMessage: OnMessage, keepHead = false) {
    this.onMessage = onMessage;
    this.keepHead = keepHead;
  }

  /** Takes the next `length` bytes of the stream; `buffer` may be reused after the call. */
  push(buffer: Buffer, length: number): void {
    let at = 0;
    let bytes = buffer;
    let end = length;
    while (at < end) {
      if (this.bodyLeft > 0) {
        const take = Math.min(this.bodyLeft, end - at);
        this.bodyLeft -= take;
        at += take;
        if (this.bodyLeft === 0) this.finish();
        continue;
      }
      if (this.carry !== undefined) {
        bytes = Buffer.concat([this.carry, bytes.subarray(at, end)]);
        at = 0;
        end = bytes.length;
        this.carry = undefined;
      }
      const bodyAt = this.scanHead(bytes, at, end);
      if (bodyAt < 0) {
        this.carry = Buffer.from(bytes.subarray(at, end));
        return;
      }
      if (this.keepHead) this.head = Buffer.from(bytes.subarray(at, bodyAt));
      at = bodyAt;
      if (this.bodyLeft === 0) this.finish();
    }
  }

  private finish(): void {
    this.bodyLeft = -1;
    const status = this.status;
    this.status = 0;
    this.onMessage(status, this.head);
  }

  /** Offset behind the head, or -1 when it has not arrived whole. Sets `status` and `bodyLeft`. */
  private scanHead(bytes: Buffer, from: number, end: number): number {
    const stop = bytes.indexOf('\r\n\r\n', from, 'latin1');
    if (stop < 0 || stop + 4 > end) return -1;
    const isResponse = bytes[from] === 72 && bytes[from + 4] === 47; // "HTTP/"
    this.status = isResponse ? threeDigits(bytes, from + 9) : 0;
    let contentLength = isResponse && this.status !== 204 && this.status !== 304 ? -1 : 0;
    let at = bytes.indexOf(LF, from) + 1;
    while (at < stop) {
      if (isContentLength(bytes, at)) contentLength = digits(bytes, at + NAME.length + 1);
      const next = bytes.indexOf(LF, at);
      if (next < 0) break;
      at = next + 1;
    }
    if (contentLength < 0) throw new Error('a response without content-length cannot be measured');
    this.bodyLeft = contentLength;
    return stop + 4;
  }
}

function isContentLength(bytes: Buffer, at: number): boolean {
  if (bytes[at + NAME.length] !== COLON) return false;
  for (let i = 0; i < NAME.length; i++) {
    const byte = bytes[at + i] as number;
    const lower = byte >= 65 && byte <= 90 ? byte | 32 : byte;
    if (lower !== NAME.charCodeAt(i)) return false;
  }
  return true;
}

function digits(bytes: Buffer, from: number): number {
  let value = 0;
  for (let i = from; ; i++) {
    const byte = bytes[i];
    if (byte === SPACE) continue;
    if (byte === undefined || byte === CR || byte < ZERO || byte > ZERO + 9) return value;
    value = value * 10 + (byte - ZERO);
  }
}

function threeDigits(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) - ZERO) * 100 + ((bytes[at + 1] as number) - ZERO) * 10 + ((bytes[at + 2] as number) - ZERO)
  );
}
