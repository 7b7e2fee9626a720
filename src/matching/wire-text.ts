const NON_ASCII = /[\x80-\uffff]/;
const UPPER_ASCII = /[A-Z]+/g;

/**
 * A text of the configuration as it looks in a message: header values and paths are latin1 strings of the bytes
 * received, so a text outside ASCII becomes its UTF-8 bytes, one character each.
 */
export function toWireText(text: string): string {
  return NON_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** The reverse of `toWireText`; bytes that are not UTF-8 become U+FFFD. */
export function fromWireText(text: string): string {
  return NON_ASCII.test(text) ? Buffer.from(text, 'latin1').toString('utf8') : text;
}

/** Lower case of A–Z alone: names and hosts compare without the case of ASCII letters, other bytes stay what they are. */
export function lowerAscii(text: string): string {
  if (!NON_ASCII.test(text)) return text.toLowerCase();
  return text.replace(UPPER_ASCII, (letters) => letters.toLowerCase());
}
