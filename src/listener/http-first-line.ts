/** What an HTTP/2 client begins with (RFC 9113 §3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** A request line that is longer than this is no one's: Envoy gives up there too. */
export const MAX_FIRST_LINE_BYTES = 64 * 1024;

const SPACE = 0x20;
const CR = 0x0d;
const LF = 0x0a;

/** The protocols of a first line as `application_protocols` names them. */
export type HttpProtocol = 'http/1.0' | 'http/1.1' | 'h2c';

/** 1 where a byte may stand in a method (RFC 9110 §5.6.2, token). */
const IN_METHOD = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
  IN_METHOD[char.charCodeAt(0)] = 1;

/**
 * Finds out from the first bytes of one connection whether it speaks HTTP, and which version. Says no as soon as a byte
 * cannot stand where it stands: who waits for an answer to something else is not kept waiting for a line end.
 */
export class HttpFirstLine {
  private at = 0;
  private part: 'method' | 'target' | 'version' = 'method';
  private partStart = 0;
  /** Nothing spoke against it, but its end did not come. */
  isEndless = false;

  /**
   * @param bytes all that have come so far; what was looked at before is not looked at again.
   * @returns `other` when it is not HTTP, `undefined` when more bytes must decide.
   */
  read(bytes: Buffer): HttpProtocol | 'other' | undefined {
    const compared = Math.min(bytes.length, PREFACE.length);
    if (bytes.compare(PREFACE, 0, compared, 0, compared) === 0)
      return bytes.length < PREFACE.length ? undefined : 'h2c';
    const end = Math.min(bytes.length, MAX_FIRST_LINE_BYTES);
    for (; this.at < end; this.at++) {
      const verdict = this.step(bytes, bytes[this.at] as number);
      if (verdict !== undefined) return verdict;
    }
    this.isEndless = end === MAX_FIRST_LINE_BYTES;
    return this.isEndless ? 'other' : undefined;
  }

  private step(bytes: Buffer, byte: number): HttpProtocol | 'other' | undefined {
    const { at, partStart } = this;
    switch (this.part) {
      case 'method':
        if (IN_METHOD[byte] === 1) return undefined;
        if (byte !== SPACE || at === 0) return 'other';
        return this.next('target');
      case 'target':
        if (byte > SPACE && byte !== 0x7f) return undefined;
        if (byte !== SPACE || at === partStart) return 'other';
        return this.next('version');
      case 'version':
        if (byte === LF) return protocolOf(bytes.latin1Slice(partStart, bytes[at - 1] === CR ? at - 1 : at));
        return fitsVersion(byte, at - partStart) ? undefined : 'other';
    }
  }

  private next(part: 'target' | 'version'): undefined {
    this.part = part;
    this.partStart = this.at + 1;
    return undefined;
  }
}

const VERSION = 'HTTP/';

/** `HTTP/1.1`, and a carriage return behind it. */
function fitsVersion(byte: number, index: number): boolean {
  if (index < VERSION.length) return byte === VERSION.charCodeAt(index);
  if (index === 6) return byte === 0x2e;
  if (index === 8) return byte === CR;
  return index < 8 && byte >= 0x30 && byte <= 0x39;
}

/** As in Envoy, any version but 1.1 counts as 1.0: what serves the connection says what it thinks of it. */
function protocolOf(version: string): HttpProtocol | 'other' {
  if (version.length !== 8) return 'other';
  return version === 'HTTP/1.1' ? 'http/1.1' : 'http/1.0';
}
