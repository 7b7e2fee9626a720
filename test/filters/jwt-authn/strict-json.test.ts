import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseStrictObject } from '../../../filters/jwt-authn/strict-json.ts';

const parse = (text: string) => parseStrictObject(Buffer.from(text));

test('any object that JSON.stringify writes is read', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), fc.nat({ max: 3 }), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test.each([
  '{"a":1,"a":1}',
  '{"a":1, "b":2 ,\n"a"\t:3}',
  '{"a":{"b":1,"b":2}}',
  '{"a":[{"b":1,"b":2}]}',
  '{"a":1,"\\u0061":2}',
  '{"\\"":1,"\\"":2}',
  '{"__proto__":1,"__proto__":2}',
])('a member twice is refused: %s', (text) => {
  expect(JSON.parse(text)).toBeTypeOf('object');
  expect(parse(text)).toBeUndefined();
});

test('texts that look like members are none', () => {
  const value = { a: '{"b":1,"b":2}', 'x":': '":', '\\': '\\"' };
  expect(parse(JSON.stringify(value))).toEqual(value);
});

test('a member may be called as what every object has', () => {
  expect(Object.keys(parse('{"__proto__":{"a":1},"constructor":1}') ?? {})).toEqual(['__proto__', 'constructor']);
});

test('bytes that are not UTF-8 are refused', () => {
  expect(parseStrictObject(Buffer.from([...Buffer.from('{"a":"'), 0xc3, ...Buffer.from('"}')]))).toBeUndefined();
});

test.each([
  String.raw`{"a":"\ud800"}`,
  String.raw`{"a":[{"b":"x\udc00x"}]}`,
  String.raw`{"\ud83d":1}`,
  '{"a":1e309}',
  '{"a":[-1e309]}',
])('what would become the same text as something else is refused: %s', (text) => {
  expect(JSON.parse(text)).toBeTypeOf('object');
  expect(parse(text)).toBeUndefined();
});

test('a character in two halves is whole', () => {
  expect(parse(String.raw`{"a":"\ud83d\ude00"}`)).toEqual({ a: '\u{1f600}' });
});
