import { CODE, data, FLAG, frame, headers, pushPromise, rstStream, TYPE } from '../../../support/http2/frames.ts';
import { encode, literal, responseBlock } from '../../../support/http2/hpack.ts';
import { answerWell, type HostileCase, head, OK } from './case.ts';

const BROKEN = {
  status: 502,
  flags: 'UPE',
  details: /^upstream_reset_before_response_started\{protocol_error/,
} as const;
const CUT = {
  status: 'reset',
  flags: 'UPE',
  details: /^upstream_reset_after_response_started\{protocol_error/,
} as const;
const FINE = { status: 200, flags: '-', body: 'fine' } as const;

/** A head that is wrong, and nothing else. */
const wrongHead = (name: string, fields: readonly (readonly [string, string])[]): HostileCase => ({
  name,
  answer: (upstream, id) => upstream.write(head(id, fields, FLAG.END_STREAM)),
  expects: BROKEN,
});

/** Responses that are no HTTP. */
export const MESSAGES: readonly HostileCase[] = [
  wrongHead('no status', [['x-some', 'field']]),
  wrongHead('an empty head', []),
  wrongHead('a status that is no number', [[':status', 'abc']]),
  wrongHead('a status of two digits', [[':status', '99']]),
  wrongHead('a status of four digits', [[':status', '2000']]),
  wrongHead('two statuses', [...OK, [':status', '404']]),
  wrongHead('the status behind a field', [['x-some', 'field'], ...OK]),
  wrongHead('a pseudo-header of requests', [...OK, [':path', '/']]),
  wrongHead('an unknown pseudo-header', [...OK, [':other', 'x']]),
  wrongHead('a name in upper case', [...OK, ['X-Upper', 'x']]),
  wrongHead('an empty name', [...OK, ['', 'x']]),
  wrongHead('a name with a space', [...OK, ['x y', 'x']]),
  wrongHead('a value with a line feed', [...OK, ['x-split', 'a\r\nx-injected: b']]),
  wrongHead('a value with NUL', [...OK, ['x-nul', 'a\0b']]),
  wrongHead('Connection', [...OK, ['connection', 'close']]),
  wrongHead('Transfer-Encoding', [...OK, ['transfer-encoding', 'chunked']]),
  wrongHead('two lengths', [...OK, ['content-length', '0'], ['content-length', '4']]),
  wrongHead('a length that is no number', [...OK, ['content-length', '4x']]),
  wrongHead('a length without a body', [...OK, ['content-length', '4']]),
  wrongHead('101, which HTTP/2 does not have', [[':status', '101']]),
  {
    name: 'a body shorter than its length',
    answer: (upstream, id) => upstream.write(head(id, [...OK, ['content-length', '10']]), data(id, 'short', true)),
    expects: CUT,
  },
  {
    name: 'a body longer than its length',
    answer: (upstream, id) => upstream.write(head(id, [...OK, ['content-length', '3']]), data(id, 'longer', true)),
    expects: CUT,
  },
  {
    name: 'DATA before HEADERS',
    answer: (upstream, id) => upstream.write(data(id, 'early'), head(id, OK), data(id, 'late', true)),
    expects: BROKEN,
  },
  {
    name: 'trailers with a pseudo-header',
    answer: (upstream, id) => upstream.write(head(id, OK), data(id, 'x'), head(id, OK, FLAG.END_STREAM)),
    expects: CUT,
  },
  {
    name: 'trailers in upper case',
    answer: (upstream, id) => upstream.write(head(id, OK), data(id, 'x'), head(id, [['X-Sum', '1']], FLAG.END_STREAM)),
    expects: CUT,
  },
  {
    name: 'trailers that do not end the stream',
    answer: (upstream, id) =>
      upstream.write(head(id, OK), data(id, 'x'), head(id, [['x-sum', '1']]), data(id, 'y', true)),
    expects: CUT,
  },
  {
    name: 'an interim response that ends the stream',
    answer: (upstream, id) => upstream.write(head(id, [[':status', '103']], FLAG.END_STREAM)),
    expects: BROKEN,
  },
  {
    name: 'interim responses without end',
    answer: (upstream, id) => {
      const flood = Buffer.concat(
        Array<Buffer>(20_000).fill(
          head(id, [
            [':status', '103'],
            ['link', '</a>'],
          ]),
        ),
      );
      upstream.write(flood, head(id, OK), data(id, 'fine', true));
    },
    expects: BROKEN,
    envoy: FINE,
  },
  {
    name: 'interim responses, some, and then the real one',
    answer: (upstream, id) => {
      for (const status of ['100', '102', '103']) upstream.write(head(id, [[':status', status]]));
      answerWell(upstream, id);
    },
    expects: FINE,
  },
  {
    name: 'PUSH_PROMISE',
    answer: (upstream, id) => {
      const promised = encode([
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'a'],
        [':path', '/pushed'],
      ]);
      upstream.write(pushPromise(id, 2, promised));
      answerWell(upstream, id);
    },
    expects: BROKEN,
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'a stream of the upstream’s own',
    answer: (upstream, id) => {
      upstream.write(head(2, OK, FLAG.END_STREAM));
      answerWell(upstream, id);
    },
    expects: BROKEN,
    told: CODE.PROTOCOL_ERROR,
  },
  {
    name: 'more fields than are allowed',
    answer: (upstream, id) => {
      const fields = Array.from({ length: 300 }, (_, i): [string, string] => [`x-${i}`, 'v']);
      upstream.write(head(id, [...OK, ...fields], FLAG.END_STREAM));
    },
    expects: { status: 502, flags: 'UPE' },
    envoy: { status: 503, flags: 'UR' },
  },
  {
    name: 'an HPACK bomb',
    answer: (upstream, id) => {
      const bomb = [responseBlock(200), literal('x-bomb', 'b'.repeat(3900), 'indexed'), Buffer.alloc(10_000, 0xbe)];
      upstream.write(headers(id, Buffer.concat(bomb)));
    },
    expects: { status: 502, flags: 'UPE' },
    envoy: { status: 503, flags: 'UR' },
  },
  {
    name: 'an entry that is not in the table',
    answer: (upstream, id) =>
      upstream.write(headers(id, Buffer.concat([responseBlock(200), Buffer.from([0xff, 0x7f])]))),
    expects: BROKEN,
    told: CODE.COMPRESSION_ERROR,
  },
  {
    name: 'a body for HEAD',
    method: 'HEAD',
    answer: (upstream, id) => answerWell(upstream, id),
    expects: { status: 200, flags: '-', body: '' },
    envoy: { status: 'reset', flags: 'UPE' },
  },
  {
    name: 'a body with 204',
    answer: (upstream, id) => upstream.write(head(id, [[':status', '204']]), data(id, 'x', true)),
    expects: { status: 204, flags: '-', body: '' },
    envoy: { status: 'reset', flags: 'UPE' },
  },
  {
    name: 'an answer before the end of the request, and a polite reset',
    method: 'POST',
    upload: Buffer.alloc(1_000_000, 'x'),
    answer: (upstream, id) => {
      answerWell(upstream, id);
      upstream.write(rstStream(id, CODE.NO_ERROR));
    },
    expects: FINE,
  },
  {
    name: 'padding, priorities and frames of unknown types',
    answer: (upstream, id) => {
      upstream.write(
        frame(0xfa, 0xff, id, Buffer.from('unknown')),
        frame(TYPE.PRIORITY, 0, id, Buffer.from([0, 0, 0, 0, 1])),
        frame(
          TYPE.HEADERS,
          FLAG.END_HEADERS | FLAG.PADDED,
          id,
          Buffer.concat([Buffer.from([9]), responseBlock(200), Buffer.alloc(9)]),
        ),
        frame(TYPE.DATA, FLAG.PADDED, id, Buffer.concat([Buffer.from([200]), Buffer.from('fi'), Buffer.alloc(200)])),
        frame(TYPE.DATA, FLAG.PADDED | FLAG.END_STREAM, id, Buffer.concat([Buffer.from([0]), Buffer.from('ne')])),
      );
    },
    expects: FINE,
  },
];
