import { isValidAuthority } from '../authority.ts';
import type { HeaderMap } from '../headers.ts';
import { setContentLength } from '../http1/response-text.ts';
import type { RequestHead } from '../message.ts';
import { isPath } from './field-values.ts';
import { type FrameOutput, writeFrameHeader } from './frame-output.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import type { Http2Options } from './options.ts';
import { DEFAULT_MAX_FRAME_BYTES, FLAGS, FRAME, FRAME_HEADER_BYTES } from './protocol.ts';
import { isMethod } from './request-fields.ts';

const statusTexts: string[] = [];

function statusText(status: number): string {
  statusTexts[status] ??= String(status);
  return statusTexts[status];
}

/** Encodes heads and trailers into the frames of a connection. */
export class HeadWriter {
  private readonly output: FrameOutput;
  private readonly encoder: HpackEncoder;
  /** Where the block that is being encoded lies, how far it is, and where it began. */
  private out: Buffer = Buffer.alloc(0);
  private at = 0;
  private scratch = false;
  /** Bytes of the last block with the header of its frame. */
  frameBytes = 0;

  constructor(output: FrameOutput, options: Pick<Http2Options, 'tableBytes' | 'huffman'>) {
    this.output = output;
    this.encoder = new HpackEncoder(options.tableBytes, options.huffman);
  }

  setPeerTableBytes(bytes: number): void {
    this.encoder.setPeerTableBytes(bytes);
  }

  /**
   * The head of a request. An upgrade leaves as extended CONNECT (RFC 8441 §5). Throws a TypeError when a filter left a
   * method, path or authority that no request may carry.
   */
  request(streamId: number, request: RequestHead, endStream: boolean, contentLength: number): void {
    const { method, path, authority, upgrade } = request;
    if (path !== request.receivedPath && method !== 'CONNECT' && path !== '*' && !isPath(path))
      throw new TypeError('the path does not begin with / or holds bytes that no request may carry');
    if (authority !== request.receivedAuthority && !isValidAuthority(authority))
      throw new TypeError('the authority holds bytes that no host may carry');
    if (!isMethod(method)) throw new TypeError('the method is not a token');
    const extended = upgrade !== '';
    // A tunnel has no length (RFC 9110 §9.3.6).
    if (extended || method === 'CONNECT') request.remove('content-length');
    else bringLength(request, endStream && contentLength < 0 ? 0 : contentLength);
    this.begin(boundOf(request) + method.length + path.length + authority.length + upgrade.length + 200);
    this.field(':method', extended ? 'CONNECT' : method);
    if (extended) this.field(':protocol', upgrade);
    if (extended || method !== 'CONNECT') {
      this.field(':scheme', request.scheme);
      this.field(':path', path);
    }
    if (authority !== '') this.field(':authority', authority);
    this.fields(request);
    this.end(streamId, endStream);
  }

  /** The head of a response, interim or final. */
  response(streamId: number, status: number, head: HeaderMap | undefined, endStream: boolean): void {
    this.begin((head === undefined ? 0 : boundOf(head)) + 64);
    this.field(':status', statusText(status));
    if (head !== undefined) this.fields(head);
    this.end(streamId, endStream);
  }

  /** False when nothing is left of them that may be sent. */
  trailers(streamId: number, trailers: HeaderMap): boolean {
    if (!hasFields(trailers)) return false;
    this.begin(boundOf(trailers) + 64);
    this.fields(trailers);
    this.end(streamId, true);
    return true;
  }

  private begin(bound: number): void {
    this.scratch = bound > DEFAULT_MAX_FRAME_BYTES;
    if (this.scratch) {
      this.out = Buffer.allocUnsafeSlow(bound);
      this.at = 0;
    } else {
      this.out = this.output.reserve(FRAME_HEADER_BYTES + bound);
      this.at = this.output.offset + FRAME_HEADER_BYTES;
    }
    this.at = this.encoder.begin(this.out, this.at);
  }

  private field(name: string, value: string): void {
    this.at = this.encoder.field(this.out, this.at, name, value, false);
  }

  private fields(headers: HeaderMap): void {
    const { names, length, neverIndexed } = headers;
    const { encoder, out } = this;
    let { at } = this;
    for (let i = 0; i < length; i++) {
      const name = names[i] as string;
      if (!mayCarry(name, headers, i)) continue;
      const sensitive = neverIndexed?.includes(name) === true;
      if (name === 'cookie') at = this.cookie(at, headers.valueAt(i), sensitive);
      else at = encoder.field(out, at, name, headers.valueAt(i), sensitive);
    }
    this.at = at;
  }

  /** One field per pair, so that those which stay the same are sent once (RFC 9113 §8.2.3). */
  private cookie(start: number, value: string, sensitive: boolean): number {
    let at = start;
    let from = 0;
    for (let to = value.indexOf('; '); to >= 0; to = value.indexOf('; ', from)) {
      at = this.encoder.field(this.out, at, 'cookie', value.substring(from, to), sensitive);
      from = to + 2;
    }
    return this.encoder.field(this.out, at, 'cookie', from === 0 ? value : value.substring(from), sensitive);
  }

  private end(streamId: number, endStream: boolean): void {
    const { output, out, at } = this;
    if (this.scratch) {
      this.out = Buffer.alloc(0);
      this.frameBytes = FRAME_HEADER_BYTES + at;
      output.longHeaders(streamId, out, at, endStream);
      return;
    }
    const frameAt = output.offset;
    this.frameBytes = at - frameAt;
    const flags = FLAGS.END_HEADERS | (endStream ? FLAGS.END_STREAM : 0);
    writeFrameHeader(out, frameAt, at - frameAt - FRAME_HEADER_BYTES, FRAME.HEADERS, flags, streamId);
    output.advance(at);
  }
}

/** Whether a field may stand in HTTP/2: nothing that concerns one hop (RFC 9113 §8.2.2), no Host beside :authority. */
function mayCarry(name: string, headers: HeaderMap, index: number): boolean {
  switch (name) {
    case '':
    case 'host':
    case 'connection':
    case 'upgrade':
    case 'keep-alive':
    case 'proxy-connection':
    case 'transfer-encoding':
      return false;
    case 'te':
      return headers.valueAt(index) === 'trailers';
    default:
      return name.charCodeAt(0) !== 58;
  }
}

function hasFields(headers: HeaderMap): boolean {
  for (let i = 0; i < headers.length; i++) if (mayCarry(headers.names[i] as string, headers, i)) return true;
  return false;
}

/** Bytes that the fields take at most. */
function boundOf(headers: HeaderMap): number {
  const { names, values, length } = headers;
  let bound = HpackEncoder.BEGIN_BOUND;
  for (let i = 0; i < length; i++) {
    const name = names[i] as string;
    const value = values[i] ?? headers.valueAt(i);
    bound += HpackEncoder.bound(name, value);
    if (name === 'cookie') bound += pairsOf(value) * HpackEncoder.bound(name, '');
  }
  return bound;
}

/** Pairs of a cookie, each of which is a field of its own. */
function pairsOf(cookie: string): number {
  let pairs = 1;
  for (let at = cookie.indexOf('; '); at >= 0; at = cookie.indexOf('; ', at + 2)) pairs++;
  return pairs;
}

/** Makes content-length say what will be sent; without it the end of the stream tells. */
export function bringLength(headers: HeaderMap, contentLength: number): void {
  if (headers.indexOf('content-length') < 0) return;
  if (contentLength < 0) headers.remove('content-length');
  else setContentLength(headers, contentLength);
}
