import type { StreamInfo } from '../stream-info.ts';
import { compileOperator } from './compile-operator.ts';
import { escapeText, objectToJson, SUSPECT, toByteString, UNSAFE } from './escape.ts';
import type { Field, FieldValue, FormatContext } from './field.ts';
import { NO_CONTEXT } from './field.ts';
import { parseFormat } from './parse.ts';

/**
 * Prints one stream. The text is a byte string (one latin1 character per byte, literals and metadata as UTF-8), so
 * write it with `latin1`. Control bytes of values are escaped: a header cannot begin a line of its own.
 */
export type Format = (info: StreamInfo, context?: FormatContext) => string;

export interface FormatOptions {
  /** What unset operators print, `-` by default; '' for Envoy's `omit_empty_values`. */
  readonly unset?: string;
}

/** Envoy's access-log format where the configuration names none. */
export const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/**
 * Compiles text with `%…%` operators.
 *
 * @throws FormatError that names the operator and its column
 */
export function compileFormat(text: string, options: FormatOptions = {}): Format {
  const unset = options.unset ?? '-';
  const fields: Field[] = [];
  // literals[i] stands before fields[i]; one more at the end.
  const literals = [''];
  for (const part of parseFormat(text)) {
    if (typeof part === 'string') literals[fields.length] += toByteString(part);
    else {
      fields.push(compileOperator(part));
      literals.push('');
    }
  }
  const [head, ...tails] = literals as [string, ...string[]];
  if (fields.length === 0) return () => head;
  // The end of the line stays out of the search for control bytes, as do formats of several lines.
  const end = /\n*$/.exec(tails.at(-1) as string)?.[0] ?? '';
  tails.push((tails.pop() as string).slice(0, -end.length || undefined));
  const searchable = !UNSAFE.test(head) && !tails.some((literal) => UNSAFE.test(literal));
  const escaped = (info: StreamInfo, context: FormatContext): string => {
    let line = head;
    for (let i = 0; i < fields.length; i++) {
      line += escapeText(printValue((fields[i] as Field)(info, context), unset)) + (tails[i] as string);
    }
    return line + end;
  };
  if (!searchable) return (info, context = NO_CONTEXT) => escaped(info, context);
  return (info, context = NO_CONTEXT) => {
    let line = head;
    for (let i = 0; i < fields.length; i++) {
      const value = (fields[i] as Field)(info, context);
      line += (typeof value === 'string' ? value : printValue(value, unset)) + (tails[i] as string);
    }
    return SUSPECT.test(line) && UNSAFE.test(line) ? escaped(info, context) : line + end;
  };
}

function printValue(value: FieldValue, unset: string): string {
  if (typeof value === 'string') return value;
  if (value === undefined) return unset;
  return typeof value === 'object' ? objectToJson(value) : String(value);
}
