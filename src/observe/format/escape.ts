/** Whether a text is worth a closer look: one range, which V8 searches twice as fast as the exact class below. */
export const SUSPECT = /[^ -~]/;

/**
 * What must not reach a log line as it is: control bytes (a header could forge a line with them) and characters that do
 * not fit a byte. Tab stays, as it is legal in a header value.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
export const UNSAFE = /[\x00-\x08\x0a-\x1f\x7f\u0100-\uffff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: likewise
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: likewise
const JSON_UNSAFE = /["\\\x00-\x1f\x7f-\uffff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: likewise
const NOT_ASCII = /[^\x00-\x7f]/;
const WIDE = /[\u0100-\uffff]/;

/** The UTF-8 bytes of a text as a latin1 string, one character per byte: what every compiled format answers. */
export function toByteString(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** A value that is safe within one log line: control bytes as `\n`, `\r`, `\u0001`; characters above a byte as UTF-8. */
export function escapeText(value: string): string {
  if (!UNSAFE.test(value)) return value;
  const bytes = WIDE.test(value) ? toByteString(value) : value;
  return bytes.replace(CONTROL, escapeControl);
}

function escapeControl(control: string): string {
  if (control === '\n') return '\\n';
  if (control === '\r') return '\\r';
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/**
 * A value as a JSON string, as a byte string. The bytes of a header are taken for UTF-8; what is not becomes U+FFFD, so
 * that the line is always valid JSON.
 */
export function quoteJson(value: string): string {
  if (!JSON_UNSAFE.test(value)) return `"${value}"`;
  return quoteSlowly(value);
}

function quoteSlowly(value: string): string {
  const text = NOT_ASCII.test(value) && !WIDE.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
  return toByteString(JSON.stringify(text.toWellFormed())).replace(CONTROL, escapeControl);
}

/** Metadata as JSON, as a byte string. */
export function objectToJson(value: object): string {
  return toByteString(JSON.stringify(value) ?? 'null');
}
