import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** Random bytes of this thread, drawn from the system some hundred ids at a time. */
const pool = Buffer.alloc(POOL_BYTES);
let next = POOL_BYTES;

/** A new trace id: 32 hexadecimal digits, not all zero (W3C Trace Context §3.2.2.3). */
export function newTraceId(): string {
  const id = hex(16);
  return id === NO_TRACE ? newTraceId() : id;
}

/** A new span id: 16 hexadecimal digits, not all zero (W3C Trace Context §3.2.2.4). */
export function newSpanId(): string {
  const id = hex(8);
  return id === NO_SPAN ? newSpanId() : id;
}

function hex(bytes: number): string {
  if (next + bytes > POOL_BYTES) {
    randomFillSync(pool);
    next = 0;
  }
  const text = pool.hexSlice(next, next + bytes);
  next += bytes;
  return text;
}
