import type { StreamInfo } from '../stream-info.ts';

/** What an operator may ask besides the stream. */
export interface FormatContext {
  /** %LOCAL_REPLY_BODY%. */
  readonly localReplyBody?: string;
}

export const NO_CONTEXT: FormatContext = Object.freeze({});

/** What an operator answers; undefined is unset (`-`, JSON null). Objects are metadata and print as JSON. */
export type FieldValue = string | number | boolean | object | undefined;

/** A compiled operator. Strings that come from headers are latin1: one character per byte. */
export type Field = (info: StreamInfo, context: FormatContext) => FieldValue;

/** What `%NAME(argument)%` needs to become a field; throws an Error whose message says what the argument must be. */
export type FieldFactory = (argument: string | undefined) => Field;

/** '' means unset in `StreamInfo`. */
export function textOrUnset(text: string): string | undefined {
  return text === '' ? undefined : text;
}

/** `10.0.0.1:80` or `[::1]:80`; the path of a pipe as it is (port 0 and no dots or colons). */
export function joinAddress(address: string, port: number): string | undefined {
  if (address === '') return undefined;
  if (address.includes(':')) return `[${address}]:${port}`;
  return address.startsWith('/') || address.startsWith('@') ? address : `${address}:${port}`;
}

/** The address of `ip:port` without port and brackets; a pipe path as it is. */
export function addressOf(text: string): string | undefined {
  if (text === '') return undefined;
  const colon = portColon(text);
  if (colon < 0) return text;
  return text.startsWith('[') ? text.slice(1, colon - 1) : text.slice(0, colon);
}

/** The port of `ip:port`; undefined for a pipe. */
export function portOf(text: string): number | undefined {
  const colon = portColon(text);
  return colon < 0 ? undefined : Number(text.slice(colon + 1));
}

function portColon(text: string): number {
  return text.startsWith('/') || text.startsWith('@') ? -1 : text.lastIndexOf(':');
}
