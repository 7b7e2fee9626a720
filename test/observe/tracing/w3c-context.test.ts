import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RequestHead } from '../../../src/http/message.ts';
import { boundedState, extractW3c, injectW3c } from '../../../src/observe/tracing/w3c-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

function request(...headers: [string, string][]): RequestHead {
  const head = new RequestHead();
  for (const [name, value] of headers) head.add(name, value);
  return head;
}

describe('traceparent', () => {
  test('tells trace, span and decision', () => {
    expect(extractW3c(request(['traceparent', `00-${TRACE}-${SPAN}-01`]))).toMatchObject({
      traceId: TRACE,
      spanId: SPAN,
      sampled: true,
    });
    expect(extractW3c(request(['traceparent', `00-${TRACE}-${SPAN}-00`]))?.sampled).toBe(false);
    // Only the lowest bit of the flags is defined.
    expect(extractW3c(request(['traceparent', `00-${TRACE}-${SPAN}-fe`]))?.sampled).toBe(false);
    expect(extractW3c(request(['traceparent', `00-${TRACE}-${SPAN}-ff`]))?.sampled).toBe(true);
  });

  test('of a later version may be longer', () => {
    expect(extractW3c(request(['traceparent', `01-${TRACE}-${SPAN}-01-more`]))?.traceId).toBe(TRACE);
    expect(extractW3c(request(['traceparent', `cc-${TRACE}-${SPAN}-01`]))?.traceId).toBe(TRACE);
    expect(extractW3c(request(['traceparent', `01-${TRACE}-${SPAN}-01more`]))).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a word', 'garbage'],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['flags of one digit', `00-${TRACE}-${SPAN}-1`],
    ['more behind version 00', `00-${TRACE}-${SPAN}-01-more`],
    ['a short trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['other letters', `00-${TRACE.replace('a', 'g')}-${SPAN}-01`],
    ['a space', `00-${TRACE}-${SPAN}-01 `],
  ])('with %s is not continued', (_, value) => {
    expect(extractW3c(request(['traceparent', value]))).toBeUndefined();
  });

  test('that comes twice is not continued', () => {
    const line: [string, string] = ['traceparent', `00-${TRACE}-${SPAN}-01`];
    expect(extractW3c(request(line, line))).toBeUndefined();
  });

  test('that was written is read again', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-f]{31}[1-9a-f]$/),
        fc.stringMatching(/^[0-9a-f]{15}[1-9a-f]$/),
        fc.boolean(),
        (traceId, spanId, sampled) => {
          const head = request(['traceparent', 'old'], ['tracestate', 'old=1']);
          injectW3c(head, { traceId, spanId, parentId: '', sampled, traceState: '', form: undefined });
          expect(extractW3c(head)).toMatchObject({ traceId, spanId, sampled, traceState: '' });
          expect(head.getAll('traceparent')).toHaveLength(1);
        },
      ),
    );
  });
});

describe('tracestate', () => {
  test('is kept as it came, and lines are put together', () => {
    const head = request(['traceparent', `00-${TRACE}-${SPAN}-01`], ['tracestate', 'a=1,b=2'], ['tracestate', 'c=3']);
    expect(extractW3c(head)?.traceState).toBe('a=1,b=2,c=3');
    expect(boundedState('rojo=00f067aa0ba902b7')).toBe('rojo=00f067aa0ba902b7');
  });

  test('has at most 32 members, the first ones', () => {
    const members = Array.from({ length: 40 }, (_, i) => `k${i}=v`);
    expect(boundedState(members.join(','))).toBe(members.slice(0, 32).join(','));
  });

  test('has at most 512 characters; long members go first, then the last ones', () => {
    const long = `long=${'x'.repeat(200)}`;
    const short = Array.from({ length: 12 }, (_, i) => `key${i}=${'y'.repeat(40)}`);
    const bounded = boundedState([short[0], long, ...short.slice(1)].join(','));
    expect(bounded.length).toBeLessThanOrEqual(512);
    expect(bounded).not.toContain('long=');
    expect(bounded.startsWith(`${short[0]},${short[1]}`)).toBe(true);
  });

  test('stays within its bounds whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 3000 }), (state) => {
        const bounded = boundedState(state);
        expect(bounded.length).toBeLessThanOrEqual(512);
        expect(bounded.split(',').length).toBeLessThanOrEqual(32);
      }),
    );
  });
});
