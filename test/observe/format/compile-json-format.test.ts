import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonFormatOptions } from '../../../src/observe/format/index.ts';
import { compileJsonFormat, FormatError } from '../../../src/observe/format/index.ts';
import type { FakeStream } from '../fake-stream.ts';
import { fakeStream } from '../fake-stream.ts';

function print(template: Record<string, unknown>, fake: FakeStream = {}, options?: JsonFormatOptions): string {
  return compileJsonFormat(template, options)(fakeStream(fake));
}

describe('compileJsonFormat', () => {
  it('keeps numbers numbers, unset null, and text that mixes in text', () => {
    const template = {
      code: '%RESPONSE_CODE%',
      nope: '%REQ(NOPE)%',
      text: 'a %REQ(NOPE)% b %RESPONSE_CODE%',
      time: '%START_TIME%',
    };
    expect(print(template)).toBe('{"code":200,"nope":null,"text":"a - b 200","time":"2026-11-21T21:14:54.340Z"}');
  });

  it('sorts keys, and nests objects, lists and constants', () => {
    const template = {
      z: { b: 1, a: ['%PROTOCOL%', 1.5, true, null, '%REQ(NOPE)%'] },
      pct: '100%%',
      e: '',
      quoted: 'x"y\tz',
    };
    expect(print(template)).toBe(
      '{"e":"","pct":"100%","quoted":"x\\"y\\tz","z":{"a":["HTTP/1.1",1.5,true,null,null],"b":1}}',
    );
  });

  it('writes metadata as JSON of its own kind', () => {
    const metadata = { ns: { on: true, list: [1, 'x'], n: 2.5 } };
    const template = {
      all: '%DYNAMIC_METADATA(ns)%',
      mixed: 'is %DYNAMIC_METADATA(ns:list)%',
      n: '%DYNAMIC_METADATA(ns:n)%',
    };
    expect(print(template, { metadata })).toBe(
      '{"all":{"on":true,"list":[1,"x"],"n":2.5},"mixed":"is [1,\\"x\\"]","n":2.5}',
    );
  });

  it('leaves out what is unset when asked, empty objects included', () => {
    const template = { b: '%REQ(NOPE)%', a: 'x%REQ(NOPE)%', n: { q: '%REQ(NOPE)%' } };
    expect(print(template, {}, { omitEmptyValues: true })).toBe('{"a":"x"}');
    expect(print({ b: '%REQ(NOPE)%' }, {}, { omitEmptyValues: true })).toBe('{}');
  });

  it('writes valid JSON whatever bytes a header holds', () => {
    const format = compileJsonFormat({ alone: '%REQ(X)%', mixed: 'é %REQ(X)%' });
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1'));
    fc.assert(
      fc.property(bytes, (x) => {
        const line = Buffer.from(format(fakeStream({ requestHeaders: { x } })), 'latin1').toString('utf8');
        const parsed = JSON.parse(line) as { alone: string; mixed: string };
        expect(parsed.alone).toBe(Buffer.from(x, 'latin1').toString('utf8'));
        expect(parsed.mixed).toBe(`é ${parsed.alone}`);
        expect(line).not.toMatch(/[\n\r]/);
      }),
    );
  });

  it('refuses unknown operators anywhere in the template', () => {
    expect(() => compileJsonFormat({ a: [{ b: 'x %NOPE%' }] })).toThrow(FormatError);
  });
});

it('with omit_empty_values, unset items of lists and empty objects are left out too', () => {
  const template = { list: ['%REQ(X-ABSENT)%', 'fixed', '%PROTOCOL%'], none: ['%REQ(X-ABSENT)%'], empty: {} };
  const format = compileJsonFormat(template, { omitEmptyValues: true });
  expect(JSON.parse(format(fakeStream()))).toEqual({ list: ['fixed', 'HTTP/1.1'], none: [] });
  expect(JSON.parse(compileJsonFormat(template)(fakeStream()))).toEqual({
    list: [null, 'fixed', 'HTTP/1.1'],
    none: [null],
    empty: {},
  });
});
