import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** Random bytes of this thread, drawn from the system some hundred ids at a time, and written out together. */
const pool = Buffer.alloc(POOL_BYTES);
let digits = '';
let next = 0;

/** A new trace id: 32 hexadecimal digits, not all zero (W3C Trace Context §3.2.2.3). */
export function newTraceId(): string {
  const id = take(32);
  return id === NO_TRACE ? newTraceId() : id;
}

/** A new span id: 16 hexadecimal digits, not all zero (W3C Trace Context §3.2.2.4). */
export function newSpanId(): string {
  const id = take(16);
  return id === NO_SPAN ? newSpanId() : id;
}

function take(length: number): string {
  if (next + length > digits.length) {
    randomFillSync(pool);
    digits = pool.hexSlice(0, POOL_BYTES);
    next = 0;
  }
  const id = digits.substring(next, next + length);
  next += length;
  return id;
}
