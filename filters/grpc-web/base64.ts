/** Characters of a body in base64, four at a time, as bytes. */
export class Base64Decoder {
  /** Characters that wait for the rest of their four. */
  private rest = '';
  /** The text ended within its last four characters. */
  isCut = false;

  /**
   * The bytes of what has come in whole; undefined when it is no base64. Padding ends a part, and another may follow:
   * clients send one part per message.
   */
  decode(chunk: Buffer, end: boolean): Buffer | undefined {
    const text = this.rest + chunk.latin1Slice();
    const usable = text.length - (text.length % 4);
    this.isCut = end && usable !== text.length;
    if (this.isCut) return undefined;
    this.rest = text.slice(usable);
    const whole = text.slice(0, usable);
    return GROUPS.test(whole) ? decodeParts(whole) : undefined;
  }
}

const GROUPS = /^(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)*$/;

function decodeParts(text: string): Buffer {
  const inner = text.indexOf('=');
  if (inner < 0 || inner >= text.length - 2) return Buffer.from(text, 'base64');
  const parts = text.match(/[^=]+={0,2}/g) ?? [];
  return Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')));
}

const PREFIX_BYTES = 5;

/** gRPC messages in base64, each a part of its own: padding stands behind every message. */
export class MessageEncoder {
  /** Bytes of the message that are no group of three yet. */
  private rest: Buffer = Buffer.alloc(0);
  private readonly prefix = Buffer.alloc(PREFIX_BYTES);
  private prefixBytes = 0;
  /** Bytes of the message's data that are to come. */
  private length = 0;

  encode(chunk: Buffer): string {
    let text = '';
    let at = 0;
    while (at < chunk.length) {
      const start = at;
      if (this.prefixBytes < PREFIX_BYTES) {
        while (this.prefixBytes < PREFIX_BYTES && at < chunk.length) {
          this.prefix[this.prefixBytes++] = chunk[at++] as number;
        }
        if (this.prefixBytes === PREFIX_BYTES) this.length = this.prefix.readUInt32BE(1);
      } else {
        at += Math.min(this.length, chunk.length - at);
        this.length -= at - start;
      }
      const isWhole = this.prefixBytes === PREFIX_BYTES && this.length === 0;
      if (isWhole) this.prefixBytes = 0;
      text += this.group(chunk.subarray(start, at), isWhole);
    }
    return text;
  }

  private group(bytes: Buffer, end: boolean): string {
    const all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const usable = end ? all.length : all.length - (all.length % 3);
    this.rest = end ? EMPTY : Buffer.from(all.subarray(usable));
    return all.toString('base64', 0, usable);
  }
}

const EMPTY = Buffer.alloc(0);
