import { FLAG, type Frame, frame, TYPE } from '../../../support/http2/frames.ts';
import { encode, type Fields } from '../../../support/http2/hpack.ts';
import type { Http2Peer, PeerOptions } from '../../../support/http2/peer.ts';

/** What a client and the access log are told of a hostile upstream. */
export interface Verdict {
  /** Status that the client gets; `reset` when its stream is cut instead, before or within the response. */
  readonly status: number | 'reset';
  /** Of the access log. */
  readonly flags: string;
  /** Of the access log's `%RESPONSE_CODE_DETAILS%`. */
  readonly details?: RegExp;
  /** The body, where it matters. */
  readonly body?: string;
}

/** One way in which an upstream misbehaves, or looks as if it did. */
export interface HostileCase {
  readonly name: string;
  /** Of the upstream's connections. */
  readonly options?: PeerOptions;
  /** What the upstream does when the head of a request is in. */
  readonly answer: (upstream: Http2Peer, streamId: number, request: Frame) => void;
  /** What the client sends behind the head. */
  readonly upload?: Buffer;
  readonly method?: string;
  readonly expects: Verdict;
  /** Where Envoy does something else. */
  readonly envoy?: Verdict;
  /** Its later connections are no better: it is not asked again. */
  readonly stays?: boolean;
  /** What the upstream must have got: the code of RST_STREAM or GOAWAY. */
  readonly told?: number;
}

/** HEADERS of a response; without END_STREAM. */
export const head = (id: number, fields: Fields, more = 0): Buffer =>
  frame(TYPE.HEADERS, FLAG.END_HEADERS | more, id, encode(fields));

export const OK: Fields = [[':status', '200']];

/** An ordinary answer. */
export function answerWell(upstream: Http2Peer, id: number): void {
  upstream.write(head(id, OK), frame(TYPE.DATA, FLAG.END_STREAM, id, Buffer.from('fine')));
}
