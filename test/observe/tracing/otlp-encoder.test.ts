import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OtlpEncoder } from '../../../src/observe/tracing/otlp-encoder.ts';
import { SPAN_KIND, Span } from '../../../src/observe/tracing/span.ts';
import { decodeSpans } from '../../support/otlp.ts';

const ORIGIN = { attributes: [['service.name', 'shop']] as const, scope: { name: 'scope', version: '1' } };

function span(facts: Partial<ConstructorParameters<typeof Span>[0]> = {}): Span {
  return new Span({
    traceId: '0af7651916cd43dd8448eb211c80319c',
    spanId: 'b7ad6b7169203331',
    parentId: '',
    traceState: '',
    kind: SPAN_KIND.SERVER,
    isParentRemote: false,
    startEpochMs: 1_795_317_431_324.26,
    name: 'ingress',
    ...facts,
  });
}

test('a span is read as it was written', () => {
  const written = span({ parentId: '00f067aa0ba902b7', traceState: 'a=b', isParentRemote: true });
  written.tag('http.method', 'GET');
  written.tag('http.method', 'PUT');
  written.tagStatus(503);
  written.event('sent', 1_795_317_431_324.5);
  written.endEpochMs = 1_795_317_431_325;
  expect(decodeSpans(new OtlpEncoder(ORIGIN).encode([written]))).toEqual([
    {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      parentId: '00f067aa0ba902b7',
      traceState: 'a=b',
      name: 'ingress',
      kind: 2,
      startNs: 1_795_317_431_324_260_000n,
      endNs: 1_795_317_431_325_000_000n,
      tags: { 'http.method': 'PUT', 'http.status_code': '503' },
      events: [{ name: 'sent', atNs: 1_795_317_431_324_500_000n }],
      statusCode: 2,
      flags: 0x301,
      resource: { 'service.name': 'shop' },
      scope: 'scope',
    },
  ]);
});

test('a client error is an error of the client, not of the server', () => {
  const statusOf = (kind: 2 | 3, code: number): number => {
    const of = span({ kind });
    of.tagStatus(code);
    return decodeSpans(new OtlpEncoder(ORIGIN).encode([of]))[0]?.statusCode ?? -1;
  };
  expect([statusOf(2, 404), statusOf(3, 404), statusOf(2, 500), statusOf(3, 200), statusOf(3, 0)]).toEqual([
    0, 2, 2, 0, 0,
  ]);
});

test('texts of any length and any bytes come through, what is no UTF-8 as U+FFFD', () => {
  const encoder = new OtlpEncoder(ORIGIN);
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.string({ minLength: 1, maxLength: 3, unit: 'grapheme-ascii' }),
          fc.uint8Array({ maxLength: 20_000 }),
        ),
        { maxLength: 4 },
      ),
      (tags) => {
        const written = span();
        for (const [name, bytes] of tags) written.tag(name, Buffer.from(bytes).toString('latin1'));
        const expected = Object.fromEntries(tags.map(([name, bytes]) => [name, Buffer.from(bytes).toString('utf8')]));
        const [first, second] = decodeSpans(encoder.encode([written, span({ name: 'behind' })]));
        expect(first?.tags).toEqual(expected);
        expect(second?.name).toBe('behind');
      },
    ),
    { numRuns: 40 },
  );
});

test('a short trace id of B3 is filled up', () => {
  const [read] = decodeSpans(new OtlpEncoder(ORIGIN).encode([span({ traceId: '8448eb211c80319c' })]));
  expect(read?.traceId).toBe('00000000000000008448eb211c80319c');
});
