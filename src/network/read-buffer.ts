/** Size of the read buffer that all connections of a thread share: a read never outlives its event. */
export const SHARED_READ_BYTES = 64 * 1024;

/** Size of the buffers that bulk transfers read into and write from without a copy. */
export const BULK_READ_BYTES = 256 * 1024;

const MAX_FREE_BULK_BUFFERS = 16;

/** The shared read buffer of this thread. */
export const sharedReadBuffer: Buffer = Buffer.allocUnsafeSlow(SHARED_READ_BYTES);

const freeBulkBuffers: Buffer[] = [];

/** A buffer for one direction of a bulk transfer; give it back with `releaseBulkBuffer`. */
export function acquireBulkBuffer(): Buffer {
  return freeBulkBuffers.pop() ?? Buffer.allocUnsafeSlow(BULK_READ_BYTES);
}

/** Only for buffers that no unfinished write refers to; drop the others. */
export function releaseBulkBuffer(buffer: Buffer): void {
  if (freeBulkBuffers.length < MAX_FREE_BULK_BUFFERS) freeBulkBuffers.push(buffer);
}
