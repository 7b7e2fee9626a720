const ALPHABET = /^[A-Za-z0-9_-]*$/;
/** Last characters whose unused bits are 0, by the length modulo 4 (RFC 4648 §3.5). */
const LAST_OF_2 = /[AQgw]$/;
const LAST_OF_3 = /[AEIMQUYcgkosw048]$/;

/**
 * The bytes of base64url without padding (RFC 7515 §2), or undefined for anything but their one canonical spelling:
 * what two spellings of one token have in common would let a cache or a revocation list be walked around.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const rest = text.length & 3;
  if (rest === 1 || !ALPHABET.test(text)) return undefined;
  if (rest === 2 && !LAST_OF_2.test(text)) return undefined;
  if (rest === 3 && !LAST_OF_3.test(text)) return undefined;
  return Buffer.from(text, 'base64url');
}
