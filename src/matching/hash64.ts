/**
 * A 64-bit hash in two halves. They are signed 32-bit integers, which V8 keeps in place: neither a bigint nor a number
 * beyond 2³¹ is made per request. Objects of this class are written over by whoever owns them.
 */
export class Hash64 {
  high = 0;
  low = 0;

  set(high: number, low: number): this {
    this.high = high | 0;
    this.low = low | 0;
    return this;
  }

  copy(other: Hash64): this {
    this.high = other.high;
    this.low = other.low;
    return this;
  }

  /** Rotates by one bit to the left and adds another hash by exclusive or, so that two equal ones do not cancel out. */
  combine(other: Hash64): this {
    const { high, low } = this;
    this.high = ((high << 1) | (low >>> 31)) ^ other.high;
    this.low = ((low << 1) | (high >>> 31)) ^ other.low;
    return this;
  }

  /** The remainder of the unsigned hash; `divisor` is an integer from 1 to 2³². */
  modulo(divisor: number): number {
    const { low } = this;
    // In steps of 16 bits, so that what is divided stays below 2⁵³.
    const upper = (((this.high >>> 0) % divisor) * 65536 + (low >>> 16)) % divisor;
    return (upper * 65536 + (low & 0xffff)) % divisor;
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex(this.high) + hex(this.low);
  }
}

function hex(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0');
}

/** The primes of the XXH64 specification, each in two halves. */
const P1_HIGH = 0x9e3779b1 | 0;
const P1_LOW = 0x85ebca87 | 0;
const P2_HIGH = 0xc2b2ae3d | 0;
const P2_LOW = 0x27d4eb4f | 0;
const P3_HIGH = 0x165667b1 | 0;
const P3_LOW = 0x9e3779f9 | 0;
const P4_HIGH = 0x85ebca77 | 0;
const P4_LOW = 0xc2b2ae63 | 0;
const P5_HIGH = 0x27d4eb2f | 0;
const P5_LOW = 0x165667c5 | 0;

/** The number that is worked on. A function cannot return two halves without making an object. */
let high = 0;
let low = 0;

/** The four lanes of texts of 32 bytes and more, each as its high and low half. */
const lanes = new Int32Array(8);

/**
 * XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) of a latin1 text, one byte a character as strings come off the
 * wire, written into `into`, which is returned. Envoy places endpoints and keys of consistent hashing by the same hash.
 * @param seed the lower half, a signed 32-bit integer
 * @param seedHigh the upper half
 */
export function hash64(bytes: string, into: Hash64, seed = 0, seedHigh = 0): Hash64 {
  const { length } = bytes;
  let at = 0;
  if (length >= 32) {
    startLanes(seedHigh, seed);
    for (; at <= length - 32; at += 32) {
      for (let lane = 0; lane < 4; lane++) {
        high = lanes[2 * lane] as number;
        low = lanes[2 * lane + 1] as number;
        addRound(word(bytes, at + 8 * lane + 4), word(bytes, at + 8 * lane));
        lanes[2 * lane] = high;
        lanes[2 * lane + 1] = low;
      }
    }
    mergeLanes();
  } else {
    high = P5_HIGH;
    low = P5_LOW;
    add(seedHigh, seed);
  }
  add(0, length);
  for (; at <= length - 8; at += 8) {
    xorRound(word(bytes, at + 4), word(bytes, at));
    rotate(27);
    multiply(P1_HIGH, P1_LOW);
    add(P4_HIGH, P4_LOW);
  }
  if (at <= length - 4) {
    xorProduct(word(bytes, at), P1_HIGH, P1_LOW);
    rotate(23);
    multiply(P2_HIGH, P2_LOW);
    add(P3_HIGH, P3_LOW);
    at += 4;
  }
  for (; at < length; at++) {
    xorProduct(bytes.charCodeAt(at), P5_HIGH, P5_LOW);
    rotate(11);
    multiply(P1_HIGH, P1_LOW);
  }
  avalanche();
  into.high = high;
  into.low = low;
  return into;
}

function startLanes(seedHigh: number, seed: number): void {
  high = seedHigh;
  low = seed;
  add(P2_HIGH, P2_LOW);
  lanes[2] = high;
  lanes[3] = low;
  add(P1_HIGH, P1_LOW);
  lanes[0] = high;
  lanes[1] = low;
  lanes[4] = seedHigh;
  lanes[5] = seed;
  high = seedHigh;
  low = seed;
  add(~P1_HIGH, -P1_LOW);
  lanes[6] = high;
  lanes[7] = low;
}

/** The lanes, rotated by 1, 7, 12 and 18 bits, are added up; then each is merged into the sum. */
function mergeLanes(): void {
  let sumHigh = 0;
  let sumLow = 0;
  for (let lane = 0; lane < 4; lane++) {
    high = lanes[2 * lane] as number;
    low = lanes[2 * lane + 1] as number;
    rotate(lane === 0 ? 1 : lane === 1 ? 7 : lane === 2 ? 12 : 18);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    xorRound(lanes[2 * lane] as number, lanes[2 * lane + 1] as number);
    multiply(P1_HIGH, P1_LOW);
    add(P4_HIGH, P4_LOW);
  }
}

function avalanche(): void {
  low ^= high >>> 1;
  multiply(P2_HIGH, P2_LOW);
  const shifted = (low >>> 29) | (high << 3);
  high ^= high >>> 29;
  low ^= shifted;
  multiply(P3_HIGH, P3_LOW);
  low ^= high;
}

/** One round: the number plus the input times P2, rotated by 31 bits, times P1. */
function addRound(inputHigh: number, inputLow: number): void {
  const beforeHigh = high;
  const beforeLow = low;
  high = inputHigh;
  low = inputLow;
  multiply(P2_HIGH, P2_LOW);
  add(beforeHigh, beforeLow);
  rotate(31);
  multiply(P1_HIGH, P1_LOW);
}

/** The number, exclusive or what a round makes of 0 and the input. */
function xorRound(inputHigh: number, inputLow: number): void {
  const beforeHigh = high;
  const beforeLow = low;
  high = 0;
  low = 0;
  addRound(inputHigh, inputLow);
  high ^= beforeHigh;
  low ^= beforeLow;
}

/** The number, exclusive or an unsigned 32-bit input times a constant. */
function xorProduct(input: number, byHigh: number, byLow: number): void {
  const beforeHigh = high;
  const beforeLow = low;
  high = 0;
  low = input;
  multiply(byHigh, byLow);
  high ^= beforeHigh;
  low ^= beforeLow;
}

function add(otherHigh: number, otherLow: number): void {
  const sum = (low + otherLow) | 0;
  const carry = sum >>> 0 < low >>> 0 ? 1 : 0;
  high = (high + otherHigh + carry) | 0;
  low = sum;
}

/** By 1 to 31 bits to the left. */
function rotate(bits: number): void {
  const upper = (high << bits) | (low >>> (32 - bits));
  low = (low << bits) | (high >>> (32 - bits));
  high = upper;
}

/** The low 64 bits of the product. */
function multiply(byHigh: number, byLow: number): void {
  const a = low & 0xffff;
  const b = low >>> 16;
  const c = byLow & 0xffff;
  const d = byLow >>> 16;
  // None of these sums of two exceeds 32 bits.
  const middle = Math.imul(b, c) + (Math.imul(a, c) >>> 16);
  const carry = Math.imul(a, d) + (middle & 0xffff);
  high = (Math.imul(b, d) + (middle >>> 16) + (carry >>> 16) + Math.imul(high, byLow) + Math.imul(low, byHigh)) | 0;
  low = Math.imul(low, byLow);
}

/** Four bytes, the least significant first. */
function word(bytes: string, at: number): number {
  return (
    bytes.charCodeAt(at) |
    (bytes.charCodeAt(at + 1) << 8) |
    (bytes.charCodeAt(at + 2) << 16) |
    (bytes.charCodeAt(at + 3) << 24)
  );
}
