import { expect, test } from 'vitest';
import { addressNumber } from '../../src/intercept/cidr.ts';
import { synFrame } from '../../src/intercept/syn-frame.ts';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);

/** The one's complement sum of all words, which is all ones over a right checksum (RFC 1071 §1). */
function sum(bytes: readonly number[]): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

test.each([
  [4, '169.254.254.2', '10.77.0.1', 20],
  [6, 'fd6f::2', 'fd77::1', 40],
] as const)('the first packet of a connection over IPv%i has right checksums', (family, from, to, headerLength) => {
  const [source, destination] = [addressNumber(from), addressNumber(to)];
  const frame = [...synFrame({ family, source, sourcePort: 40_000, destination, destinationPort: 8080 }, MAC, MAC)];
  const header = frame.slice(14, 14 + headerLength);
  const segment = frame.slice(14 + headerLength);
  if (family === 4) expect(sum(header)).toBe(0xffff);
  const addresses = header.slice(family === 4 ? 12 : 8);
  expect(sum([...addresses, 0, 6, 0, segment.length, ...segment])).toBe(0xffff);
  expect(segment.slice(0, 4)).toEqual([40_000 >> 8, 40_000 & 255, 8080 >> 8, 8080 & 255]);
  expect(segment[13]).toBe(2);
});
