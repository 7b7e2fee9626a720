import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import {
  anyConfig,
  bool,
  bytes,
  check,
  double,
  duration,
  enumOf,
  headerName,
  int32,
  list,
  mapOf,
  message,
  oneof,
  optional,
  Problem,
  type Schema,
  string,
  struct,
  uint32,
  uint64,
  unsupported,
} from '../../../src/config/schema/building-blocks.ts';
import { type Finding, findingOf } from '../../../src/config/validate.ts';

function findings(schema: v.GenericSchema, value: unknown): Finding[] {
  const result = v.safeParse(schema, value);
  return result.success ? [] : result.issues.map(findingOf);
}

function messages(schema: v.GenericSchema, value: unknown): string[] {
  return findings(schema, value).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('message', () => {
  const Person = message({
    first_name: string({ minLength: 1 }),
    age: optional(uint32(), 18),
    home: optional(message({ http2_port: optional(uint32()) })),
  });

  it('takes snake_case and camelCase keys and gives snake_case', () => {
    expect(v.parse(Person, { firstName: 'Ada', home: { http2Port: 1 } })).toEqual(
      v.parse(Person, { first_name: 'Ada', home: { http2_port: 1 } }),
    );
  });

  it('fills defaults in and leaves out what has none', () => {
    expect(v.parse(Person, { first_name: 'Ada' })).toEqual({ first_name: 'Ada', age: 18 });
  });

  it('takes null for unset', () => {
    expect(v.parse(Person, { first_name: 'Ada', age: null, home: null })).toEqual({ first_name: 'Ada', age: 18 });
    expect(messages(Person, { first_name: null })).toEqual(['first_name: is required']);
  });

  it('reports every unknown key with the nearest known one, as it is spelled there', () => {
    const found = findings(Person, { first_nam: 'Ada', firstName: 'Ada', homme: {} });
    expect(found.map(({ path, message, suggestion }) => [path[0], message, suggestion])).toEqual([
      ['first_nam', 'unknown field', 'first_name'],
      ['homme', 'unknown field', 'home'],
    ]);
    expect(findings(Person, { fristName: 'Ada' })[0]).toMatchObject({ suggestion: 'firstName' });
  });

  it('refuses a field in both spellings', () => {
    expect(messages(Person, { first_name: 'a', firstName: 'b' })).toEqual([
      'firstName: the field is given twice, also as "first_name"',
    ]);
  });

  it('refuses what is no map', () => {
    expect(messages(Person, ['Ada'])).toEqual([': expected a map, got a list']);
    expect(messages(Person, 'Ada')).toEqual([': expected a map, got the string "Ada"']);
  });

  it('is not fooled by the names of object methods', () => {
    expect(messages(Person, { first_name: 'a', toString: 1 })).toEqual(['toString: unknown field']);
    expect(messages(Person, JSON.parse('{"first_name":"a","__proto__":{"age":1}}'))).toEqual([
      '__proto__: unknown field',
    ]);
  });

  it('says of unsupported fields why, unless they are null', () => {
    const Limited = message({ a: optional(string()) }, unsupported('write a', 'b_c'));
    expect(messages(Limited, { bC: 1 })).toEqual(['bC: is not supported: write a']);
    expect(messages(Limited, { b_c: null })).toEqual([]);
  });

  it('tests conditions only when the fields are valid', () => {
    const Range = message(
      { low: uint32(), high: uint32() },
      check((range) => (range.low > range.high ? new Problem('lies above high', { path: ['low'] }) : undefined)),
    );
    expect(messages(Range, { low: 2, high: 1 })).toEqual(['low: lies above high']);
    expect(messages(Range, { low: 2, high: 'x' })).toHaveLength(1);
  });
});

describe('oneof', () => {
  const Choice = message(
    { exact: optional(string()), prefix: optional(string()) },
    oneof(['exact', 'prefix', 'custom'], { required: true }),
    unsupported('not here', 'custom'),
  );

  it('wants exactly one when required', () => {
    expect(messages(Choice, { exact: '' })).toEqual([]);
    expect(messages(Choice, {})).toEqual([': one of exact, prefix is required']);
    expect(messages(Choice, { exact: 'a', prefix: 'b' })).toEqual(['prefix: cannot be given together with "exact"']);
  });

  it('does not complain twice about a misspelled or unsupported member', () => {
    expect(messages(Choice, { exat: 'a' })).toEqual(['exat: unknown field']);
    expect(messages(Choice, { custom: {} })).toEqual(['custom: is not supported: not here']);
  });

  it('wants at most one otherwise', () => {
    const Maybe = message({ a: optional(bool()), b: optional(bool()) }, oneof(['a', 'b']));
    expect(messages(Maybe, {})).toEqual([]);
    expect(messages(Maybe, { a: false, b: false })).toHaveLength(1);
  });
});

describe('duration', () => {
  it.each([
    ['5s', 5000],
    ['0.25s', 250],
    ['0s', 0],
    ['0.000000001s', 0.000001],
    ['1.1s', 1100],
  ])('reads %s as %d ms', (text, ms) => expect(v.parse(duration(), text)).toBe(ms));

  it.each([
    ['250ms', '0.25s'],
    [5, '5s'],
    ['1m', '60s'],
    ['2h', '7200s'],
    ['5', '5s'],
    ['soon', undefined],
    ['1.s', undefined],
    ['.5s', undefined],
  ])('refuses %s and offers %s', (text, suggestion) => {
    expect(findings(duration(), text)).toEqual([expect.objectContaining({ suggestion })]);
  });

  it('keeps to its bounds', () => {
    expect(messages(duration(), '-1s')).toEqual([': a duration must not be negative, got -1s']);
    expect(messages(duration({ aboveMs: 0 }), '0s')).toEqual([': 0s is too short']);
    expect(messages(duration({ minMs: 1 }), '0.0005s')).toEqual([': 0.0005s is too short']);
    expect(messages(duration({ maxMs: 1000 }), '2s')).toEqual([': 2s is too long']);
    expect(messages(duration(), '315576000001s')).toHaveLength(1);
  });
});

describe('numbers', () => {
  it('takes digits in a string, as the JSON form of protobuf does', () => {
    expect(v.parse(uint32(), '8080')).toBe(8080);
    expect(v.parse(uint32(), '1e2')).toBe(100);
    expect(v.parse(int32(), -5)).toBe(-5);
    expect(v.parse(double(), '0.5')).toBe(0.5);
  });

  it('refuses what does not fit', () => {
    expect(messages(uint32(), -1)).toEqual([': -1 is out of range']);
    expect(messages(uint32(), 4294967296)).toEqual([': 4294967296 is out of range']);
    expect(messages(uint32(), 1.5)).toEqual([': expected a whole number, got the number 1.5']);
    expect(messages(uint32(), '')).toHaveLength(1);
    expect(messages(uint32(), 'x')).toHaveLength(1);
    expect(messages(uint32(), true)).toHaveLength(1);
    expect(messages(int32(), 2147483648)).toHaveLength(1);
    expect(messages(uint64({ max: 10 }), 11)).toHaveLength(1);
    expect(messages(double({ above: 0, below: 1 }), 0)).toHaveLength(1);
    expect(messages(double({ above: 0, below: 1 }), 1)).toHaveLength(1);
  });
});

describe('strings and names', () => {
  it('asks for quotes around numbers and booleans', () => {
    expect(findings(string(), 5)).toEqual([
      expect.objectContaining({ message: 'expected a string, got the number 5', suggestion: '"5"' }),
    ]);
    expect(messages(string(), true)).toEqual([': expected a string, got the boolean true']);
  });

  it('counts the length in bytes, as Envoy does', () => {
    expect(messages(string({ maxLength: 3 }), 'äb')).toEqual([]);
    expect(messages(string({ maxLength: 3 }), 'ää')).toEqual([': has 4 bytes']);
  });

  it('gives header names in lower case and refuses line ends in them', () => {
    expect(v.parse(headerName(), 'X-Request-ID')).toBe('x-request-id');
    expect(messages(headerName(), 'a\r\nb')).toHaveLength(1);
    expect(messages(headerName(), '')).toHaveLength(1);
  });

  it('reads bytes from base64', () => {
    expect(v.parse(bytes(), 'aGk=')).toEqual(Buffer.from('hi'));
    expect(messages(bytes(), 'not base64!')).toHaveLength(1);
  });
});

describe('enumOf', () => {
  const Policy = enumOf({ ROUND_ROBIN: 0, RANDOM: 3 });

  it('takes the name, also in lower case, and the number', () => {
    for (const value of ['RANDOM', 'random', 3, '3']) expect(v.parse(Policy, value)).toBe('RANDOM');
    expect(v.parse(enumOf(['A', 'B']), 1)).toBe('B');
  });

  it('lists the values and offers the nearest', () => {
    expect(findings(Policy, 'RANDON')).toEqual([
      expect.objectContaining({ allowed: 'ROUND_ROBIN, RANDOM', suggestion: 'RANDOM' }),
    ]);
    expect(messages(Policy, 1)).toHaveLength(1);
  });

  it('says why a value of Envoy is refused', () => {
    const Type = enumOf(['STATIC', 'EDS'], { EDS: 'not yet' });
    expect(messages(Type, 'EDS')).toEqual([': EDS is not supported: not yet']);
    expect(findings(Type, 'EDX')[0]?.allowed).toBe('STATIC');
  });
});

describe('containers', () => {
  it('locates problems in lists and maps', () => {
    const Shape = message({ lists: mapOf(list(uint32(), { min: 1, max: 2 })) });
    expect(messages(Shape, { lists: { 'a.b': [1, 'x'], none: [], long: [1, 2, 3], flat: 5 } })).toEqual([
      'lists.a.b.1: expected a whole number, got the string "x"',
      'lists.none: needs at least 1 item',
      'lists.long: has 3 items',
      'lists.flat: expected a list, got the number 5',
    ]);
  });

  it('keeps the keys of maps as they are written', () => {
    expect(v.parse(mapOf(bool()), { camelKey: true, snake_key: false })).toEqual({ camelKey: true, snake_key: false });
  });

  it('takes any map for a struct', () => {
    expect(v.parse(struct(), { any: [1, null, { x: 'y' }] })).toEqual({ any: [1, null, { x: 'y' }] });
    expect(messages(struct(), [])).toHaveLength(1);
  });
});

describe('anyConfig', () => {
  it('splits type and fields when there is nothing to choose from', () => {
    const value = { '@type': 'type.googleapis.com/a.B', x: 1 };
    expect(v.parse(anyConfig('http_filter'), value)).toEqual({ type: 'a.B', value: { x: 1 } });
  });

  it('needs a type URL', () => {
    expect(messages(anyConfig('http_filter'), {})).toEqual([': "@type" is required']);
    expect(messages(anyConfig('http_filter'), { '@type': 'a.B' })).toEqual([
      '@type: the string "a.B" is not a type URL',
    ]);
  });
});

describe('Standard Schema', () => {
  it('is what every schema offers', () => {
    const schema: Schema<{ a: number }> = message({ a: uint32() });
    expect(schema['~standard'].validate({ a: '1' })).toMatchObject({ value: { a: 1 } });
    expect(schema['~standard'].validate({ a: 'x' })).toMatchObject({ issues: [expect.anything()] });
  });
});
