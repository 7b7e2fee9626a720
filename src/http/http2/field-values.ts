/**
 * Values of header fields that every message has, read character by character: an expression costs three times as much,
 * and remembers its last match.
 */

const ZERO = 48;
/** Digits of a length that a number holds exactly. */
const MAX_LENGTH_DIGITS = 15;

/** The bytes that a content-length says (RFC 9110 §8.6), -1 when it is none. */
export function contentLengthOf(text: string): number {
  const { length } = text;
  if (length === 0 || length > MAX_LENGTH_DIGITS) return -1;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** The number of a :status of three digits, of which the first is not 0 (RFC 9110 §15); -1 when it is none. */
export function statusOf(text: string): number {
  return text.length === 3 && text.charCodeAt(0) !== ZERO ? contentLengthOf(text) : -1;
}

/** Whether a :path begins with a slash and holds visible ASCII alone. */
export function isPath(text: string): boolean {
  if (text.charCodeAt(0) !== 47) return false;
  for (let i = 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return true;
}
