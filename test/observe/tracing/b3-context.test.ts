import { describe, expect, test } from 'vitest';
import { RequestHead } from '../../../src/http/message.ts';
import { B3, B3_AND_W3C } from '../../../src/observe/tracing/b3-context.ts';

const TRACE = '463ac35c9f6413ad48485a3953bb6124';
const SPAN = 'a2fb4a1d1a96d312';
const PARENT = '0020000000000001';

function request(headers: Record<string, string>): RequestHead {
  const head = new RequestHead();
  for (const [name, value] of Object.entries(headers)) head.add(name, value);
  return head;
}

describe('one b3 header', () => {
  test.each([
    [`${TRACE}-${SPAN}-1-${PARENT}`, { traceId: TRACE, spanId: SPAN, sampled: true, parentId: PARENT }],
    [`${TRACE}-${SPAN}-0`, { traceId: TRACE, spanId: SPAN, sampled: false, parentId: '' }],
    [`${TRACE}-${SPAN}-d`, { sampled: true }],
    [`${TRACE.slice(16)}-${SPAN}`, { traceId: TRACE.slice(16), sampled: undefined }],
    [`${TRACE.toUpperCase()}-${SPAN}-1`, { traceId: TRACE }],
    ['0', { traceId: '', sampled: false }],
    ['1', { traceId: '', sampled: true }],
    ['d', { traceId: '', sampled: true }],
  ])('%s', (value, expected) => {
    expect(B3.extract(request({ b3: value }))).toMatchObject({ ...expected, form: 'B3_SINGLE' });
  });

  test.each([
    '',
    'junk',
    '2',
    TRACE,
    `${TRACE}-${SPAN}-2`,
    `${TRACE}-${SPAN}-1-`,
    `${TRACE}-${SPAN}-1-${PARENT}-1`,
    `${TRACE.slice(1)}-${SPAN}-1`,
    `${'0'.repeat(32)}-${SPAN}-1`,
    `${TRACE}-${'0'.repeat(16)}-1`,
  ])('"%s" begins a new trace', (value) => {
    expect(B3.extract(request({ b3: value }))).toBeUndefined();
  });
});

describe('several x-b3- headers', () => {
  const ids = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN };

  test.each([
    [{ ...ids }, { traceId: TRACE, spanId: SPAN, sampled: undefined, parentId: '' }],
    [
      { ...ids, 'x-b3-sampled': '1', 'x-b3-parentspanid': PARENT },
      { sampled: true, parentId: PARENT },
    ],
    [{ ...ids, 'x-b3-sampled': 'false' }, { sampled: false }],
    [{ ...ids, 'x-b3-sampled': 'true' }, { sampled: true }],
    [{ ...ids, 'x-b3-flags': '1' }, { sampled: true }],
    [{ 'x-b3-sampled': '0' }, { traceId: '', sampled: false }],
  ])('%j', (headers, expected) => {
    expect(B3.extract(request(headers))).toMatchObject({ ...expected, form: 'B3_MULTI' });
  });

  test.each([
    {},
    { 'x-b3-traceid': TRACE },
    { 'x-b3-spanid': SPAN },
    { ...ids, 'x-b3-traceid': 'zz' },
    { ...ids, 'x-b3-spanid': SPAN.slice(1) },
    { ...ids, 'x-b3-parentspanid': 'x' },
    { ...ids, 'x-b3-traceid': '0'.repeat(16) },
  ])('%j begins a new trace', (headers) => {
    expect(B3.extract(request(headers))).toBeUndefined();
  });
});

describe('the context leaves', () => {
  const context = { traceId: TRACE, spanId: SPAN, parentId: PARENT, sampled: true, traceState: '' } as const;

  test('as it came: in one header', () => {
    const head = request({ b3: 'old', 'x-b3-traceid': 'old', 'x-b3-sampled': '0' });
    B3.inject(head, { ...context, form: 'B3_SINGLE' });
    expect([...head]).toEqual([['b3', `${TRACE}-${SPAN}-1-${PARENT}`]]);
  });

  test('otherwise in several, each once', () => {
    const head = request({ b3: 'junk', 'x-b3-parentspanid': 'old' });
    B3.inject(head, { ...context, parentId: '', sampled: false, form: undefined });
    expect([...head]).toEqual([
      ['x-b3-traceid', TRACE],
      ['x-b3-spanid', SPAN],
      ['x-b3-sampled', '0'],
    ]);
  });

  test('in both ways where W3C is wanted too; a short trace id is filled up there', () => {
    const head = request({ traceparent: `00-${TRACE}-${PARENT}-01` });
    expect(B3_AND_W3C.extract(head)).toMatchObject({ traceId: TRACE, spanId: PARENT, form: 'W3C' });
    B3_AND_W3C.inject(head, { ...context, traceId: TRACE.slice(16), form: 'W3C' });
    expect(head.get('traceparent')).toBe(`00-${'0'.repeat(16)}${TRACE.slice(16)}-${SPAN}-01`);
    expect(head.get('x-b3-traceid')).toBe(TRACE.slice(16));
  });

  test('B3 is preferred where both came', () => {
    const head = request({ traceparent: `00-${'1'.repeat(32)}-${PARENT}-01`, b3: `${TRACE}-${SPAN}-0` });
    expect(B3_AND_W3C.extract(head)).toMatchObject({ traceId: TRACE, sampled: false });
  });
});
