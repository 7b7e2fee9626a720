const ID_CHARS = 36;
/** Ids that are made in one go; each is cut out of their common text, which costs less than joining its parts. */
const BATCH = 64;
const HEX = Buffer.from('0123456789abcdef', 'latin1');
const DASH = 45;

const bytes = Buffer.alloc(BATCH * ID_CHARS);
let text = '';
let at = 0;

/**
 * A new x-request-id: a random UUID (RFC 9562 §5.4). It names requests and guards nothing, so an ordinary generator
 * will do, as in Envoy; node:crypto would delay the first request by 8 ms.
 */
export function newRequestId(): string {
  if (at === text.length) {
    for (let start = 0; start < bytes.length; start += ID_CHARS) writeId(start);
    text = bytes.latin1Slice(0, bytes.length);
    at = 0;
  }
  const id = text.substring(at, at + ID_CHARS);
  at += ID_CHARS;
  return id;
}

function writeId(start: number): void {
  const b = random32();
  const c = random32();
  let next = writeHex(start, random32(), 8);
  bytes[next] = DASH;
  next = writeHex(next + 1, b >>> 16, 4);
  bytes[next] = DASH;
  next = writeHex(next + 1, (b & 0x0fff) | 0x4000, 4);
  bytes[next] = DASH;
  next = writeHex(next + 1, ((c >>> 16) & 0x3fff) | 0x8000, 4);
  bytes[next] = DASH;
  next = writeHex(next + 1, c, 4);
  writeHex(next, random32(), 8);
}

function random32(): number {
  return (Math.random() * 0x1_0000_0000) >>> 0;
}

/** The lowest digits of a number. Returns the offset behind. */
function writeHex(start: number, value: number, digits: number): number {
  let rest = value;
  for (let i = start + digits - 1; i >= start; i--) {
    bytes[i] = HEX[rest & 0xf] as number;
    rest >>>= 4;
  }
  return start + digits;
}

/** Where an id's digit tells proxies further on whether its request is traced (Envoy's UUID extension). */
const REASON_AT = 14;

/** What that digit says. */
export const TRACE_REASON = { NOT_TRACEABLE: '4', SAMPLED: '9', SERVICE_FORCED: 'a', CLIENT_FORCED: 'b' } as const;

/** The digit of an id; '' for one that is not as long as a UUID. */
export function traceReasonOf(id: string): string {
  return id.length === ID_CHARS ? id.charAt(REASON_AT) : '';
}

/** An id that says `reason`; one that is not as long as a UUID stays as it is. */
export function withTraceReason(id: string, reason: string): string {
  return id.length === ID_CHARS ? id.substring(0, REASON_AT) + reason + id.substring(REASON_AT + 1) : id;
}
