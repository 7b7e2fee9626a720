/** Size of the read buffer that all connections of a thread share: a read never outlives its event. */
export const SHARED_READ_BYTES = 64 * 1024;

/** Size of the buffers that bulk transfers read into and write from without a copy. */
export const BULK_READ_BYTES = 256 * 1024;

const MAX_FREE_BULK_BUFFERS = 16;

/** The shared read buffer of this thread. */
export const sharedReadBuffer: Buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);

/** So much is read at once at least, whatever a limit says; Envoy's slices are as large. */
const LEAST_READ_BYTES = 16 * 1024;

/** Parts of the shared read buffer by their size. */
const limitedReadBuffers = new Map<number, Buffer>();

/**
 * The shared read buffer, or a part of it for connections that may not hold a whole read.
 * @param limitBytes `per_connection_buffer_limit_bytes`; 0 is no limit.
 */
export function sharedReadBufferFor(limitBytes: number): Buffer {
  if (limitBytes === 0 || limitBytes >= SHARED_READ_BYTES) return sharedReadBuffer;
  const size = Math.max(limitBytes, LEAST_READ_BYTES);
  let buffer = limitedReadBuffers.get(size);
  if (buffer === undefined) {
    buffer = sharedReadBuffer.subarray(0, size);
    limitedReadBuffers.set(size, buffer);
  }
  return buffer;
}

let largeReadBuffer: Buffer | undefined;

/**
 * A larger shared buffer, for connections on which many exchanges arrive together and whose bytes are copied out during
 * the event.
 */
export function sharedLargeReadBuffer(): Buffer {
  largeReadBuffer ??= Buffer.allocUnsafeSlow(BULK_READ_BYTES);
  return largeReadBuffer;
}

/** Who keeps a bulk buffer although nothing long is under way, the longest first. */
const lingering: BulkHolder[] = [];

/** A reader that keeps its bulk buffer for the next long transfer, until others need it more. */
export interface BulkHolder {
  /** Goes back to the shared buffer, and gives the bulk buffer back. */
  leaveBulk(): void;
}

const freeBulkBuffers: Buffer[] = [];

/** A buffer for one direction of a bulk transfer; give it back with `releaseBulkBuffer`. */
export function acquireBulkBuffer(): Buffer {
  return freeBulkBuffers.pop() ?? Buffer.allocUnsafeSlow(BULK_READ_BYTES);
}

/**
 * Keeps a holder's buffer where it is: moving a connection from one buffer to another costs memory that Node gives
 * back only when the connection ends. Beyond the bound the one that lingers longest lets go.
 */
export function linger(holder: BulkHolder): void {
  stopLingering(holder);
  lingering.push(holder);
  if (lingering.length > MAX_FREE_BULK_BUFFERS) lingering.shift()?.leaveBulk();
}

export function stopLingering(holder: BulkHolder): void {
  const index = lingering.indexOf(holder);
  if (index >= 0) lingering.splice(index, 1);
}

/** Only for buffers that no unfinished write refers to; drop the others. */
export function releaseBulkBuffer(buffer: Buffer): void {
  if (freeBulkBuffers.length < MAX_FREE_BULK_BUFFERS) freeBulkBuffers.push(buffer);
}
