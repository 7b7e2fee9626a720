/** Lower-case byte of every tchar (RFC 9110 §5.6.2), 0 for bytes that may not stand in a token. */
export const TOKEN_LOWER: Uint8Array = new Uint8Array(256);

/** 1 for bytes that may stand in a field value: HTAB, SP, VCHAR, obs-text (RFC 9110 §5.5). */
export const VALUE_BYTE: Uint8Array = new Uint8Array(256);

/** 1 for bytes that may stand in a request target: VCHAR. */
export const TARGET_BYTE: Uint8Array = new Uint8Array(256);

/** Value of a hexadecimal digit, 255 for other bytes. */
export const HEX_VALUE: Uint8Array = new Uint8Array(256).fill(255);

for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte);
  if (/[A-Za-z0-9!#$%&'*+.^_`|~-]/.test(char)) TOKEN_LOWER[byte] = char.toLowerCase().charCodeAt(0);
  if (byte === 9 || (byte >= 0x20 && byte !== 0x7f)) VALUE_BYTE[byte] = 1;
  if (byte > 0x20 && byte < 0x7f) TARGET_BYTE[byte] = 1;
  if (/[0-9A-Fa-f]/.test(char)) HEX_VALUE[byte] = Number.parseInt(char, 16);
}
