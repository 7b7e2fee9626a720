import type { HeaderMap } from '../headers.ts';
import { TARGET_BYTE, TOKEN_LOWER, VALUE_BYTE } from './chars.ts';
import { KNOWN, learnName, lookupName, nameOf, presenceBit } from './header-names.ts';

/** Why a head was refused. `details` is what %RESPONSE_CODE_DETAILS% prints. */
export interface HeadError {
  readonly status: number;
  readonly details: string;
  /** The head can be read, but such a request is not served: no protocol error, and an answer without a text. */
  readonly wellFormed?: true;
}

export interface HeadLimits {
  /** Bytes of the whole head, request line included. */
  maxHeaderBytes: number;
  maxHeaderCount: number;
  /** Keep the spelling of names for the wire; otherwise names are lower-cased where they lie. */
  preserveCase: boolean;
}

const CR = 13;
const LF = 10;
const SP = 32;
const HTAB = 9;
const COLON = 58;

/** A version of HTTP, of which only 1.0 and 1.1 are spoken here. */
const VERSION = /^HTTP\/\d\.\d$/;

const BAD = (details: string): HeadError => Object.freeze({ status: 400, details });
const ERRORS = {
  requestLine: BAD('http1.invalid_request_line'),
  statusLine: BAD('http1.invalid_status_line'),
  target: BAD('http1.invalid_url'),
  version: BAD('http1.invalid_version'),
  unknownVersion: Object.freeze({ status: 426, details: 'low_version' }),
  headerName: BAD('http1.invalid_header_name'),
  headerValue: BAD('http1.invalid_characters'),
  bareLf: BAD('http1.bare_cr_or_lf'),
  folding: BAD('http1.obsolete_line_folding'),
  contentLength: BAD('http1.invalid_content_length'),
  duplicateLength: BAD('http1.duplicate_content_length'),
  lengthWithChunked: BAD('http1.content_length_and_chunked_not_allowed'),
  duplicateHost: BAD('http1.duplicate_host'),
  transferEncoding: Object.freeze({ status: 501, details: 'http1.invalid_transfer_encoding' }),
  transferEncodingVersion: BAD('http1.transfer_encoding_in_http10'),
  tooManyHeaders: Object.freeze({ status: 431, details: 'http1.too_many_headers' }),
  tooLarge: Object.freeze({ status: 431, details: 'http1.headers_too_large' }),
} as const;

/**
 * Parses the head of a request or a response from bytes that are complete or not, into offsets. Strict by RFC 9112:
 * CRLF line ends only, no obsolete folding, no white space before the colon, no control bytes, one length.
 *
 * One parser serves one side of one connection; its fields describe the head that was parsed last.
 */
export class HeadParser {
  readonly limits: HeadLimits;
  /** Bytes of the head, its empty line included, once `parse…` returned true. */
  headBytes = 0;
  error: HeadError | undefined;
  /** Request: token and target. */
  methodStart = 0;
  methodEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Where the first header line begins. */
  headersStart = 0;
  /** Where the empty line begins. */
  headersEnd = 0;
  /** 0 for HTTP/1.0, 1 for HTTP/1.1. */
  minorVersion = 1;
  /** Response only. */
  status = 0;
  /** -1 when there is no content-length. */
  contentLength = -1;
  chunked = false;
  hasTransferEncoding = false;
  /** Index of the entry in the header map, -1 when absent. */
  hostIndex = -1;
  connectionIndex = -1;
  upgradeIndex = -1;
  expectIndex = -1;
  /** Bit `1 << KNOWN.X` for each of the known names that came, so that nobody need search for what is not there. */
  present = 0;

  constructor(limits: HeadLimits) {
    this.limits = limits;
  }

  private begin(): void {
    this.error = undefined;
    this.headBytes = 0;
    this.contentLength = -1;
    this.chunked = false;
    this.hasTransferEncoding = false;
    this.hostIndex = -1;
    this.connectionIndex = -1;
    this.upgradeIndex = -1;
    this.expectIndex = -1;
    this.present = 0;
  }

  /**
   * Parses a request head in `buffer[start, end)`. True: complete, `headBytes` long, spans pushed to `headers` (whose
   * `raw` the caller sets to the head's text). False: `error` says what is wrong, or more bytes are needed.
   */
  parseRequest(buffer: Buffer, start: number, end: number, headers: HeaderMap): boolean {
    this.begin();
    let i = start;
    while (i < end && TOKEN_LOWER[buffer[i] as number] !== 0) i++;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== SP || i === start) return this.fail(ERRORS.requestLine);
    this.methodStart = 0;
    this.methodEnd = i - start;
    i++;
    this.targetStart = i - start;
    while (i < end && TARGET_BYTE[buffer[i] as number] === 1) i++;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== SP) return this.fail(buffer[i] === CR || buffer[i] === LF ? ERRORS.requestLine : ERRORS.target);
    this.targetEnd = i - start;
    if (this.targetEnd === this.targetStart) return this.fail(ERRORS.requestLine);
    i++;
    i = this.parseVersion(buffer, i, end);
    if (i < 0) return this.error === undefined ? this.incomplete(start, end) : false;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== CR) return this.fail(buffer[i] === LF ? ERRORS.bareLf : ERRORS.requestLine);
    i++;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== LF) return this.fail(ERRORS.bareLf);
    return this.parseFields(buffer, start, i + 1, end, headers, true);
  }

  /** Parses a response head; as `parseRequest`. */
  parseResponse(buffer: Buffer, start: number, end: number, headers: HeaderMap): boolean {
    this.begin();
    let i = this.parseVersion(buffer, start, end);
    if (i < 0) return this.error === undefined ? this.incomplete(start, end) : false;
    if (i + 4 > end) return this.incomplete(start, end);
    if (buffer[i] !== SP) return this.fail(ERRORS.statusLine);
    let status = 0;
    for (let digit = i + 1; digit < i + 4; digit++) {
      const value = (buffer[digit] as number) - 48;
      if (value < 0 || value > 9) return this.fail(ERRORS.statusLine);
      status = status * 10 + value;
    }
    if (status < 100) return this.fail(ERRORS.statusLine);
    this.status = status;
    i += 4;
    if (i < end && buffer[i] !== SP && buffer[i] !== CR) return this.fail(ERRORS.statusLine);
    while (i < end && VALUE_BYTE[buffer[i] as number] === 1) i++;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== CR) return this.fail(ERRORS.bareLf);
    i++;
    if (i === end) return this.incomplete(start, end);
    if (buffer[i] !== LF) return this.fail(ERRORS.bareLf);
    return this.parseFields(buffer, start, i + 1, end, headers, false);
  }

  /** Parses the trailer section behind a chunked body; `start` is the first byte after the last chunk's CRLF. */
  parseTrailers(buffer: Buffer, start: number, end: number, headers: HeaderMap): boolean {
    this.begin();
    return this.parseFields(buffer, start, start, end, headers, false);
  }

  /** Offset behind `HTTP/1.x`, or -1: not there yet, or wrong (`error` is set). */
  private parseVersion(buffer: Buffer, start: number, end: number): number {
    const available = Math.min(end - start, 8);
    for (let i = 0; i < available; i++) {
      const byte = buffer[start + i] as number;
      const right = i < 7 ? byte === 'HTTP/1.'.charCodeAt(i) : byte === 48 || byte === 49;
      if (!right) {
        this.error = VERSION.test(buffer.latin1Slice(start, start + available))
          ? ERRORS.unknownVersion
          : ERRORS.version;
        return -1;
      }
    }
    if (available < 8) return -1;
    this.minorVersion = (buffer[start + 7] as number) - 48;
    return start + 8;
  }

  private parseFields(
    buffer: Buffer,
    head: number,
    from: number,
    end: number,
    headers: HeaderMap,
    request: boolean,
  ): boolean {
    const lowerCase = !this.limits.preserveCase;
    const maxCount = this.limits.maxHeaderCount;
    let i = from;
    this.headersStart = from - head;
    headers.reset('');
    for (;;) {
      if (i === end) return this.incomplete(head, end);
      const line = i;
      let byte = buffer[i] as number;
      if (byte === CR) {
        if (i + 1 === end) return this.incomplete(head, end);
        if (buffer[i + 1] !== LF) return this.fail(ERRORS.bareLf);
        this.headersEnd = line - head;
        this.headBytes = i + 2 - head;
        if (this.headBytes > this.limits.maxHeaderBytes) return this.fail(ERRORS.tooLarge);
        return this.checkFraming(request);
      }
      let hash = 0;
      let lower = TOKEN_LOWER[byte] as number;
      while (lower !== 0) {
        hash = (Math.imul(hash, 31) + lower) | 0;
        if (lowerCase) buffer[i] = lower;
        if (++i === end) return this.incomplete(head, end);
        byte = buffer[i] as number;
        lower = TOKEN_LOWER[byte] as number;
      }
      if (byte !== COLON || i === line) return this.fail(nameError(byte, i === line && line > from));
      const nameEnd = i++;
      while (i < end && (buffer[i] === SP || buffer[i] === HTAB)) i++;
      const valueStart = i;
      while (i < end && VALUE_BYTE[buffer[i] as number] === 1) i++;
      if (i + 1 >= end)
        return i < end && buffer[i] !== CR ? this.fail(valueError(buffer[i] as number)) : this.incomplete(head, end);
      if (buffer[i] !== CR || buffer[i + 1] !== LF) return this.fail(valueError(buffer[i] as number));
      let valueEnd = i;
      while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === HTAB)) valueEnd--;
      i += 2;
      if (headers.length === maxCount) return this.fail(ERRORS.tooManyHeaders);
      const id = lookupName(buffer, line, nameEnd, hash, TOKEN_LOWER);
      // A line that is not exactly `name: value` is written anew: its span is the value's only.
      const canonical = valueStart === nameEnd + 2 && valueEnd === i - 2 && buffer[nameEnd + 1] === SP;
      if (id > 0 && id <= KNOWN.EXPECT && !this.noteFraming(id, buffer, valueStart, valueEnd, headers.length))
        return false;
      let name: string;
      if (id > 0) {
        name = nameOf(id);
        this.present |= presenceBit(id);
      } else {
        name = learnName(buffer, line, nameEnd, hash);
        if (name.startsWith('x-envoy-')) this.present |= 1 << KNOWN.ANY_ENVOY;
      }
      headers.pushSpan(name, canonical ? line - head : -1, valueStart - head, valueEnd - head, i - head);
      if (!canonical && !lowerCase) {
        headers.spellings[headers.length - 1] = buffer.latin1Slice(line, nameEnd);
      }
    }
  }

  private noteFraming(id: number, buffer: Buffer, valueStart: number, valueEnd: number, index: number): boolean {
    switch (id) {
      case KNOWN.HOST:
        if (this.hostIndex >= 0) return this.fail(ERRORS.duplicateHost);
        this.hostIndex = index;
        return true;
      case KNOWN.CONNECTION:
        if (this.connectionIndex < 0) this.connectionIndex = index;
        return true;
      case KNOWN.CONTENT_LENGTH:
        return this.noteContentLength(buffer, valueStart, valueEnd);
      case KNOWN.TRANSFER_ENCODING:
        if (this.hasTransferEncoding || !isChunked(buffer, valueStart, valueEnd))
          return this.fail(ERRORS.transferEncoding);
        this.hasTransferEncoding = true;
        this.chunked = true;
        return true;
      case KNOWN.UPGRADE:
        if (this.upgradeIndex < 0) this.upgradeIndex = index;
        return true;
      case KNOWN.EXPECT:
        this.expectIndex = index;
        return true;
      default:
        return true;
    }
  }

  /** Digits only, no list, no second line, at most 2^53 (RFC 9112 §6.3 lets a proxy refuse what repeats). */
  private noteContentLength(buffer: Buffer, start: number, end: number): boolean {
    if (this.contentLength >= 0) return this.fail(ERRORS.duplicateLength);
    if (end === start || end - start > 15) return this.fail(ERRORS.contentLength);
    let length = 0;
    for (let i = start; i < end; i++) {
      const digit = (buffer[i] as number) - 48;
      if (digit < 0 || digit > 9) return this.fail(ERRORS.contentLength);
      length = length * 10 + digit;
    }
    this.contentLength = length;
    return true;
  }

  private checkFraming(request: boolean): boolean {
    if (!this.hasTransferEncoding) return true;
    if (this.contentLength >= 0) return this.fail(ERRORS.lengthWithChunked);
    if (this.minorVersion === 0 && request) return this.fail(ERRORS.transferEncodingVersion);
    return true;
  }

  private incomplete(start: number, end: number): boolean {
    if (end - start > this.limits.maxHeaderBytes) this.error = ERRORS.tooLarge;
    return false;
  }

  private fail(error: HeadError): boolean {
    this.error = error;
    return false;
  }
}

function nameError(byte: number, atLineStart: boolean): HeadError {
  if (atLineStart && (byte === SP || byte === HTAB)) return ERRORS.folding;
  return byte === LF || byte === CR ? ERRORS.bareLf : ERRORS.headerName;
}

function valueError(byte: number): HeadError {
  return byte === LF || byte === CR ? ERRORS.bareLf : ERRORS.headerValue;
}

function isChunked(buffer: Buffer, start: number, end: number): boolean {
  if (end - start !== 7) return false;
  for (let i = 0; i < 7; i++) if (((buffer[start + i] as number) | 0x20) !== 'chunked'.charCodeAt(i)) return false;
  return true;
}
