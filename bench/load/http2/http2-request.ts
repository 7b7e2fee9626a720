import { type LoadTarget, targetBody } from '../load-target.ts';
import { FLAG, FRAME, frame, MAX_FRAME_BYTES } from './frame.ts';
import { encodeRequest, type Field } from './header-block.ts';

/** The frames of a request, whole; the stream's number is written into them when they are sent. */
export interface RequestFrames {
  /** The first request of a connection, and all after it. */
  readonly firstHead: Buffer;
  readonly head: Buffer;
  /** A body, or a message. `last` ends the stream. */
  readonly body: Buffer | undefined;
  readonly lastBody: Buffer | undefined;
}

/** @param tableSize SETTINGS_HEADER_TABLE_SIZE of the peer */
export function requestFrames(target: LoadTarget, tableSize: number): RequestFrames {
  const body = targetBody(target);
  if (body !== undefined && body.length > MAX_FRAME_BYTES) {
    throw new Error(`HTTP/2 requests carry up to ${MAX_FRAME_BYTES} bytes, one frame: ${body.length} are too many`);
  }
  const { first, next } = encodeRequest(requestFields(target, body), tableSize);
  const flags = FLAG.endHeaders | (body === undefined ? FLAG.endStream : 0);
  return {
    firstHead: frame(FRAME.headers, flags, 0, first),
    head: frame(FRAME.headers, flags, 0, next),
    body: body && frame(FRAME.data, 0, 0, body),
    lastBody: body && frame(FRAME.data, FLAG.endStream, 0, body),
  };
}

function requestFields(target: LoadTarget, body: Buffer | undefined): Field[] {
  const length: Field[] =
    body === undefined || target.grpc !== undefined ? [] : [['content-length', String(body.length)]];
  return [
    [':method', body === undefined ? 'GET' : 'POST'],
    [':scheme', 'http'],
    [':authority', `${target.host}:${target.port}`],
    [':path', target.path],
    ...Object.entries(target.headers),
    ...length,
  ];
}
