/** Castagnoli's polynomial, bits reversed (RFC 9260 appendix A). */
const POLYNOMIAL = 0x82f63b78;

let table: Uint32Array | undefined;

function makeTable(): Uint32Array {
  const made = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 0 ? value >>> 1 : (value >>> 1) ^ POLYNOMIAL;
    made[byte] = value >>> 0;
  }
  return made;
}

/** CRC-32C of `bytes`, where those in [zeroFrom, zeroTo) count as zeros: a checksum lies within what it covers. */
export function crc32c(bytes: Uint8Array, zeroFrom = 0, zeroTo = 0): number {
  table ??= makeTable();
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    const byte = i >= zeroFrom && i < zeroTo ? 0 : (bytes[i] as number);
    value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] as number);
  }
  return (value ^ 0xffffffff) >>> 0;
}
