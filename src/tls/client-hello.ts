/** What a client says first (RFC 8446 §4.1.2), as far as filter chains ask. */
export interface ClientHello {
  /** In lower case; '' without. */
  readonly serverName: string;
  /** The protocols that the client offers, its favourite first. */
  readonly alpn: readonly string[];
}

const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;
/** Longest body of a record in clear text (RFC 8446 §5.1). */
const MAX_RECORD_BYTES = 16 * 1024;

const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;

/** A ClientHello that is longer is not read further. */
export const MAX_CLIENT_HELLO_BYTES = 16 * 1024;

class Malformed extends Error {}

/** Reads bytes in order, and never beyond their end. */
class Cursor {
  private readonly bytes: Buffer;
  private offset = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get left(): number {
    return this.bytes.length - this.offset;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Malformed();
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }

  /** An unsigned number of 1 to 3 bytes. */
  number(size: number): number {
    return this.take(size).readUIntBE(0, size);
  }

  /** A vector behind its length of `size` bytes. */
  vector(size: number): Cursor {
    return new Cursor(this.take(this.number(size)));
  }

  text(size: number): string {
    return this.take(this.number(size)).toString('latin1');
  }
}

/**
 * Reads a ClientHello from the first bytes of a connection.
 * @returns the number of bytes that are needed at least, while there are fewer; `other` for whatever is no ClientHello.
 */
export function readClientHello(bytes: Buffer): ClientHello | number | 'other' {
  const message = handshakeMessage(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return readBody(new Cursor(message));
  } catch (error) {
    if (error instanceof Malformed) return 'other';
    throw error;
  }
}

/** The body of the handshake message, which may lie in several records. */
function handshakeMessage(bytes: Buffer): Buffer | number | 'other' {
  const parts: Buffer[] = [];
  const head: number[] = [];
  let gathered = 0;
  let offset = 0;
  let wanted = MESSAGE_HEAD_BYTES;
  while (gathered < wanted) {
    const [type, major] = [bytes[offset], bytes[offset + 1]];
    if ((type ?? HANDSHAKE_RECORD) !== HANDSHAKE_RECORD || (major ?? 3) !== 3) return 'other';
    const start = offset + RECORD_HEAD_BYTES;
    // Whatever is missing comes in one more record at least. To ask for its head alone would let a client that sends its
    // hello in records of one byte have all of them read again for each.
    if (bytes.length < start) return head.length < MESSAGE_HEAD_BYTES ? start : start + wanted - gathered;
    const length = bytes.readUInt16BE(offset + 3);
    if (length === 0 || length > MAX_RECORD_BYTES) return 'other';
    const part = bytes.subarray(start, start + length);
    for (let i = 0; i < part.length && head.length < MESSAGE_HEAD_BYTES; i++) head.push(part[i] as number);
    if (head.length > 0 && head[0] !== CLIENT_HELLO) return 'other';
    if (head.length === MESSAGE_HEAD_BYTES) {
      wanted = MESSAGE_HEAD_BYTES + Buffer.from(head).readUIntBE(1, 3);
      if (wanted > MAX_CLIENT_HELLO_BYTES) return 'other';
    }
    parts.push(part);
    gathered += part.length;
    offset = start + length;
    if (bytes.length >= offset || gathered >= wanted) continue;
    const beyond = wanted - gathered - (length - part.length);
    return beyond <= 0 ? offset + beyond : offset + RECORD_HEAD_BYTES + beyond;
  }
  return Buffer.concat(parts).subarray(MESSAGE_HEAD_BYTES, wanted);
}

function readBody(body: Cursor): ClientHello {
  body.take(2 + 32);
  body.vector(1);
  body.vector(2);
  body.vector(1);
  let serverName = '';
  let alpn: readonly string[] = [];
  if (body.left === 0) return { serverName, alpn };
  const extensions = body.vector(2);
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = extensions.vector(2);
    if (type === SERVER_NAME && data.left > 0) serverName = hostName(data.vector(2));
    else if (type === ALPN && data.left > 0) alpn = protocols(data.vector(2));
  }
  return { serverName, alpn };
}

function hostName(names: Cursor): string {
  while (names.left > 0) {
    const type = names.number(1);
    const name = names.text(2);
    if (type === HOST_NAME) return name.toLowerCase();
  }
  return '';
}

function protocols(names: Cursor): readonly string[] {
  const list: string[] = [];
  while (names.left > 0) list.push(names.text(1));
  return list;
}
