/**
 * The two messages of grpc.health.v1.Health/Check in the wire format of protocol buffers
 * (github.com/grpc/grpc-proto, grpc/health/v1/health.proto):
 *
 *     message HealthCheckRequest  { string service = 1; }
 *     message HealthCheckResponse { ServingStatus status = 1; }   // SERVING = 1
 */

const SERVING = 1;
const WIRE = { VARINT: 0, FIXED64: 1, LENGTH: 2, FIXED32: 5 } as const;
/** Flag and length before each message on the wire. */
const PREFIX_BYTES = 5;

/** A `HealthCheckRequest` behind its length prefix. */
export function healthCheckRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Whether a body is exactly one `HealthCheckResponse` with the status SERVING; messages without content do not count. */
export function saysServing(body: Buffer): boolean {
  let found: Buffer | undefined;
  for (let at = 0; at < body.length; ) {
    if (at + PREFIX_BYTES > body.length) return false;
    const end = at + PREFIX_BYTES + body.readUInt32BE(at + 1);
    if (body[at] !== 0 || end > body.length) return false;
    if (end > at + PREFIX_BYTES) {
      if (found !== undefined) return false;
      found = body.subarray(at + PREFIX_BYTES, end);
    }
    at = end;
  }
  return found !== undefined && readStatus(found) === SERVING;
}

/** Field 1 of a `HealthCheckResponse`, the last one counting; undefined when it is no message. Unknown fields are passed over. */
function readStatus(message: Buffer): number | undefined {
  const reader = new FieldReader(message);
  let status = 0;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === undefined || tag >>> 3 === 0) return undefined;
    const isStatus = tag >>> 3 === 1 && (tag & 7) === WIRE.VARINT;
    const value = reader.skip(tag & 7);
    if (value === undefined) return undefined;
    if (isStatus) status = value;
  }
  return status;
}

class FieldReader {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The lower 32 bits; undefined when the bytes end before it, or it is too long. */
  varint(): number | undefined {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) return undefined;
      if (i < 5) value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return value >>> 0;
    }
    return undefined;
  }

  /** Passes a field's content over; its value if it is a varint, else 0. Undefined when it does not fit. */
  skip(wire: number): number | undefined {
    if (wire === WIRE.VARINT) return this.varint();
    const length =
      wire === WIRE.FIXED64 ? 8 : wire === WIRE.FIXED32 ? 4 : wire === WIRE.LENGTH ? this.varint() : undefined;
    if (length === undefined || this.at + length > this.bytes.length) return undefined;
    this.at += length;
    return 0;
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
