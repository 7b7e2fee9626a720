export const SCRATCH_BYTES: number = 16 * 1024;

/**
 * Where a text lies as bytes while it is looked at: loops over bytes are several times as fast as those over the
 * characters of a string. One for all connections; nothing is kept in it from one call to the next.
 */
export const scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
