/** HTTP/2 frames as bytes, right and wrong ones (RFC 9113). Nothing here checks what is sent: tests break rules on purpose. */

/** RFC 9113 section 6, RFC 7540 section 6.3 (PRIORITY). */
export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** RFC 9113 section 6.5.2, RFC 8441 section 3. */
export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const;

/** RFC 9113 section 7. */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
} as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
export const MAX_WINDOW = 0x7fff_ffff;
export const DEFAULT_WINDOW = 65_535;

/** The name of a number in one of the tables above, for messages. */
export function nameOf(table: Record<string, number>, value: number): string {
  return Object.entries(table).find(([, known]) => known === value)?.[0] ?? String(value);
}

/** A frame of any type; `length` lies about the payload's when given. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer = EMPTY, length?: number): Buffer {
  const bytes = Buffer.allocUnsafe(9 + payload.length);
  bytes.writeUIntBE(length ?? payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  payload.copy(bytes, 9);
  return bytes;
}

const EMPTY = Buffer.alloc(0);

export function data(streamId: number, payload: Buffer | string = EMPTY, endStream = false): Buffer {
  return frame(TYPE.DATA, endStream ? FLAG.END_STREAM : 0, streamId, bytesOf(payload));
}

/** A header block in one HEADERS frame. */
export function headers(streamId: number, block: Buffer, options: { endStream?: boolean; endHeaders?: boolean } = {}) {
  const { endStream = true, endHeaders = true } = options;
  const flags = (endStream ? FLAG.END_STREAM : 0) | (endHeaders ? FLAG.END_HEADERS : 0);
  return frame(TYPE.HEADERS, flags, streamId, block);
}

export function continuation(streamId: number, block: Buffer, endHeaders = true): Buffer {
  return frame(TYPE.CONTINUATION, endHeaders ? FLAG.END_HEADERS : 0, streamId, block);
}

export function priority(streamId: number, dependsOn = 0, weight = 15): Buffer {
  const payload = Buffer.alloc(5);
  payload.writeUInt32BE(dependsOn, 0);
  payload[4] = weight;
  return frame(TYPE.PRIORITY, 0, streamId, payload);
}

export function rstStream(streamId: number, code: number = CODE.CANCEL): Buffer {
  return frame(TYPE.RST_STREAM, 0, streamId, uint32(code));
}

/** Settings by number: `settings({ [SETTING.MAX_FRAME_SIZE]: 20_000 })`. */
export function settings(values: Record<number, number> = {}): Buffer {
  const entries = Object.entries(values);
  const payload = Buffer.alloc(6 * entries.length);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(Number(id), 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(TYPE.SETTINGS, 0, 0, payload);
}

export const settingsAck = (): Buffer => frame(TYPE.SETTINGS, FLAG.ACK, 0);

export function ping(opaque: Buffer | string = 'outrigge', ack = false): Buffer {
  return frame(TYPE.PING, ack ? FLAG.ACK : 0, 0, bytesOf(opaque));
}

export function goAway(lastStreamId: number, code: number = CODE.NO_ERROR, debug: Buffer | string = EMPTY): Buffer {
  return frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), bytesOf(debug)]));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(TYPE.WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function pushPromise(streamId: number, promisedId: number, block: Buffer): Buffer {
  return frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, streamId, Buffer.concat([uint32(promisedId), block]));
}

/** The payload of a padded frame (RFC 9113 section 6.1); `padLength` lies when given. */
export function padded(payload: Buffer, padding: number, padLength = padding): Buffer {
  return Buffer.concat([Buffer.from([padLength]), payload, Buffer.alloc(padding)]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function bytesOf(value: Buffer | string): Buffer {
  return typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
}

/** A frame as it came in. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
  /** Of HEADERS and PUSH_PROMISE: the whole block's fields, CONTINUATIONs included. */
  readonly fields?: readonly (readonly [name: string, value: string])[];
}

export const isAck = (frame: Frame): boolean => (frame.flags & FLAG.ACK) !== 0;
export const endsStream = ({ type, flags }: Frame): boolean =>
  (type === TYPE.DATA || type === TYPE.HEADERS) && (flags & FLAG.END_STREAM) !== 0;

/** The error code of RST_STREAM or GOAWAY. */
export function codeOf({ type, payload }: Frame): number {
  return payload.readUInt32BE(type === TYPE.GOAWAY ? 4 : 0);
}

/** Last stream id and debug data of GOAWAY. */
export function lastStreamOf({ payload }: Frame): number {
  return payload.readUInt32BE(0) & MAX_WINDOW;
}

/** The settings of a SETTINGS frame by number. */
export function settingsOf({ payload }: Frame): Map<number, number> {
  const values = new Map<number, number>();
  for (let at = 0; at + 6 <= payload.length; at += 6) {
    values.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }
  return values;
}

/** What is in a frame besides padding and priority. @throws RangeError when there is more padding than payload */
export function contentOf({ type, flags, payload }: Frame): Buffer {
  let start = 0;
  let end = payload.length;
  if ((flags & FLAG.PADDED) !== 0 && (type === TYPE.DATA || type === TYPE.HEADERS || type === TYPE.PUSH_PROMISE)) {
    end -= payload.readUInt8(0);
    start = 1;
  }
  if ((flags & FLAG.PRIORITY) !== 0 && type === TYPE.HEADERS) start += 5;
  if (type === TYPE.PUSH_PROMISE) start += 4;
  if (end < start) throw new RangeError('more padding than payload');
  return payload.subarray(start, end);
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  private rest: Buffer = EMPTY;

  /** Frames that are complete with these bytes. */
  push(bytes: Buffer): Frame[] {
    this.rest = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    const found: Frame[] = [];
    while (this.rest.length >= 9) {
      const end = 9 + this.rest.readUIntBE(0, 3);
      if (this.rest.length < end) break;
      found.push({
        type: this.rest.readUInt8(3),
        flags: this.rest.readUInt8(4),
        streamId: this.rest.readUInt32BE(5) & MAX_WINDOW,
        payload: this.rest.subarray(9, end),
      });
      this.rest = this.rest.subarray(end);
    }
    return found;
  }
}
