import { CODE, data, FLAG, frame, goAway, headers, rstStream, TYPE } from '../../../support/http2/frames.ts';
import { responseBlock } from '../../../support/http2/hpack.ts';
import { answerWell, type HostileCase, head, OK, type Verdict } from './case.ts';

const FINE = { status: 200, flags: '-', body: 'fine' } as const;
const RESET = { status: 503, flags: 'UR', details: /^upstream_reset_before_response_started\{remote_reset/ } as const;
const LOST = {
  status: 503,
  flags: 'UC',
  details: /^upstream_reset_before_response_started\{connection_termination/,
} as const;
const LOST_LATE = { status: 'reset', flags: 'UC', details: /^upstream_reset_after_response_started/ } as const;

const resetWith = (name: string, code: number, expects: Verdict = RESET): HostileCase => ({
  name: `a reset with ${name}`,
  answer: (upstream, id) => upstream.write(rstStream(id, code)),
  expects,
});

/** Streams and connections that end when they should not. */
export const STREAMS: readonly HostileCase[] = [
  resetWith('CANCEL', CODE.CANCEL),
  resetWith('INTERNAL_ERROR', CODE.INTERNAL_ERROR),
  resetWith('NO_ERROR', CODE.NO_ERROR),
  resetWith('an unknown code', 0xdead_beef),
  resetWith('REFUSED_STREAM', CODE.REFUSED_STREAM, {
    status: 503,
    flags: 'UR',
    details: /remote_refused_stream_reset/,
  }),
  {
    name: 'a reset behind the head',
    answer: (upstream, id) => upstream.write(head(id, OK), rstStream(id)),
    expects: { status: 'reset', flags: 'UR', details: /^upstream_reset_after_response_started\{remote_reset/ },
  },
  {
    name: 'a reset in the body',
    answer: (upstream, id) =>
      upstream.write(head(id, [...OK, ['content-length', '10']]), data(id, 'some'), rstStream(id)),
    expects: { status: 'reset', flags: 'UR', details: /^upstream_reset_after_response_started\{remote_reset/ },
  },
  {
    name: 'a reset behind the end',
    answer: (upstream, id) => {
      answerWell(upstream, id);
      upstream.write(rstStream(id, CODE.NO_ERROR), rstStream(id), rstStream(id));
    },
    expects: FINE,
  },
  {
    name: 'data behind the end',
    answer: (upstream, id) => {
      answerWell(upstream, id);
      upstream.write(data(id, 'more'));
    },
    expects: FINE,
  },
  {
    name: 'GOAWAY that leaves the request out, with an error',
    answer: (upstream, id) => upstream.write(goAway(id - 1 > 0 ? id - 2 : 0, CODE.INTERNAL_ERROR)),
    expects: { status: 503, flags: 'UR', details: /refused/ },
  },
  {
    name: 'GOAWAY, and then the answer',
    answer: (upstream, id) => {
      upstream.write(goAway(id));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'GOAWAY in two steps, and then the answer',
    answer: (upstream, id) => {
      upstream.write(goAway(0x7fff_ffff), goAway(id));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'GOAWAY with an error, and the end of the connection',
    answer: (upstream, id) => {
      upstream.write(goAway(id, CODE.ENHANCE_YOUR_CALM, 'too much'));
      upstream.socket.end();
    },
    expects: LOST,
  },
  {
    name: 'GOAWAY whose last stream grows',
    answer: (upstream, id) => {
      upstream.write(goAway(id), goAway(id + 100));
      answerWell(upstream, id);
    },
    expects: FINE,
    // Which it must not (RFC 9113 section 6.8); the answer is there all the same.
    envoy: { status: 502, flags: 'UPE' },
  },
  {
    name: 'GOAWAY of a stream, which it must not be',
    answer: (upstream, id) => upstream.write(frame(TYPE.GOAWAY, 0, id, Buffer.alloc(8))),
    expects: { status: 502, flags: 'UPE' },
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'the end of the connection without an answer',
    answer: (upstream) => upstream.socket.end(),
    expects: LOST,
  },
  { name: 'a TCP reset', answer: (upstream) => upstream.cut(), expects: LOST },
  {
    name: 'the end of the connection in the middle of a frame',
    answer: (upstream, id) => {
      upstream.write(frame(TYPE.HEADERS, FLAG.END_HEADERS, id, responseBlock(200), 100));
      upstream.socket.end();
    },
    expects: LOST,
  },
  {
    name: 'the end of the connection in the body',
    answer: (upstream, id) => {
      upstream.write(head(id, OK), data(id, 'half'));
      upstream.socket.end();
    },
    expects: LOST_LATE,
  },
  {
    name: 'DATA within a header block',
    answer: (upstream, id) =>
      upstream.write(headers(id, responseBlock(200), { endStream: false, endHeaders: false }), data(id, 'x')),
    expects: { status: 502, flags: 'UPE' },
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'a header block that another one interrupts',
    answer: (upstream, id) =>
      upstream.write(
        headers(id, responseBlock(200), { endStream: false, endHeaders: false }),
        headers(id + 2, responseBlock(200)),
      ),
    expects: { status: 502, flags: 'UPE' },
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'CONTINUATION without a beginning',
    answer: (upstream, id) => upstream.write(frame(TYPE.CONTINUATION, FLAG.END_HEADERS, id, responseBlock(200))),
    expects: { status: 502, flags: 'UPE' },
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'CONTINUATION without end',
    answer: (upstream, id) => {
      upstream.write(headers(id, responseBlock(200), { endHeaders: false }));
      const more = frame(TYPE.CONTINUATION, 0, id, Buffer.alloc(16_000, 0xbf));
      for (let i = 0; i < 200; i++) upstream.write(more);
    },
    expects: { status: 502, flags: 'UPE' },
  },
  {
    name: 'HTTP/1.1',
    stays: true,
    options: { settings: null },
    answer: (upstream) => upstream.write(Buffer.from('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n')),
    expects: { status: 502, flags: 'UPE' },
  },
  {
    name: 'nothing at all',
    answer: () => {},
    expects: { status: 504, flags: 'UT', details: /^response_timeout$/ },
    told: CODE.CANCEL,
  },
  {
    name: 'nothing behind the head',
    answer: (upstream, id) => upstream.write(head(id, OK)),
    expects: { status: 'reset', flags: 'UT', details: /^response_timeout$/ },
  },
];
