import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { HeaderMutation, HeaderValueOption } from '../../../src/config/schema/core.ts';
import { HeaderMap } from '../../../src/http/headers.ts';
import { compileHeaderMutation, compileHeaderMutations } from '../../../src/http/route/header-mutations.ts';
import { hashStream, requestHead } from './route-fixture.ts';

const request = requestHead('/p', { headers: [['x-user', 'ada']] });

function mutated(add: readonly object[], remove: readonly string[], ...before: [string, string][]): string[] {
  const head = new HeaderMap();
  for (const [name, value] of before) head.add(name, value);
  compileHeaderMutations(
    add.map((option) => v.parse(HeaderValueOption, option)),
    remove,
  )?.(head, hashStream(request));
  return [...head].map(([name, value]) => `${name}: ${value}`);
}

const option = (key: string, value: string, more: object = {}): object => ({ header: { key, value }, ...more });

describe('compileHeaderMutations', () => {
  it('is nothing when nothing is to be done', () => {
    expect(compileHeaderMutations([], [])).toBeUndefined();
  });

  it.each([
    ['APPEND_IF_EXISTS_OR_ADD', ['x: old', 'x: new'], ['x: new']],
    ['ADD_IF_ABSENT', ['x: old'], ['x: new']],
    ['OVERWRITE_IF_EXISTS_OR_ADD', ['x: new'], ['x: new']],
    ['OVERWRITE_IF_EXISTS', ['x: new'], []],
  ])('%s', (action, whenThere, whenNot) => {
    const add = [option('X', 'new', { append_action: action })];
    expect(mutated(add, [], ['x', 'old'])).toEqual(whenThere);
    expect(mutated(add, [])).toEqual(whenNot);
    // Among others the order of work is another one, the result the same.
    const among = [...add, option('y', '1')];
    expect(mutated(among, [], ['x', 'old'])).toEqual([...whenThere, 'y: 1']);
    expect(mutated(among, [])).toEqual([...whenNot, 'y: 1']);
  });

  it('appends or overwrites as the old append says', () => {
    expect(mutated([option('x', 'n', { append: true })], [], ['x', 'o'])).toEqual(['x: o', 'x: n']);
    expect(mutated([option('x', 'n', { append: false })], [], ['x', 'o'])).toEqual(['x: n']);
    expect(mutated([option('x', 'n')], [], ['x', 'o'])).toEqual(['x: o', 'x: n']);
  });

  it('removes before it adds, and replaces before it appends', () => {
    expect(mutated([option('x', 'new')], ['X'], ['x', 'old'])).toEqual(['x: new']);
    const add = [option('x', 'appended'), option('x', 'replaced', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' })];
    expect(mutated(add, [], ['x', 'old'])).toEqual(['x: replaced', 'x: appended']);
  });

  it('computes every value before it changes anything', () => {
    const head = requestHead('/', { headers: [['a', '1']] });
    const add = ['b', 'a'].map((key) =>
      option(key, key === 'b' ? '%REQ(a)%' : '2', { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }),
    );
    compileHeaderMutations(
      add.toReversed().map((each) => v.parse(HeaderValueOption, each)),
      [],
    )?.(head, hashStream(head));
    expect(head.get('b')).toBe('1');
  });

  it('leaves out empty values unless they are to be kept', () => {
    expect(mutated([option('x', '')], [])).toEqual([]);
    expect(mutated([option('x', '%REQ(missing)%')], [])).toEqual([]);
    expect(mutated([option('x', '', { keep_empty_value: true })], [])).toEqual(['x: ']);
    expect(mutated([option('x', '%REQ(missing)%', { keep_empty_value: true })], [])).toEqual(['x: ']);
  });

  it('fills in operators, and %% for a percent sign', () => {
    expect(mutated([option('x', 'for-%REQ(x-user)%-%PROTOCOL%')], [])).toEqual(['x: for-ada-HTTP/1.1']);
    expect(mutated([option('x', '100%%')], [])).toEqual(['x: 100%']);
    expect(mutated([option('x', '%%REQ(x-user)%%')], [])).toEqual(['x: %REQ(x-user)%']);
  });

  it('writes text outside ASCII as its UTF-8 bytes', () => {
    expect(mutated([option('x', 'zürich')], [])).toEqual([`x: ${Buffer.from('zürich').toString('latin1')}`]);
  });

  it('refuses pseudo-headers, host, bad operators and control bytes at load', () => {
    for (const name of [':path', 'Host']) {
      expect(() => mutated([option(name, 'v')], [])).toThrow(/cannot be added/);
      expect(() => mutated([], [name])).toThrow(/cannot be removed/);
    }
    expect(() => mutated([option('x', '%NOPE%')], [])).toThrow(/NOPE/);
    expect(() => mutated([option('x', 'a\x01b')], [])).toThrow(/control byte/);
  });
});

describe('compileHeaderMutation', () => {
  const apply = (head: HeaderMap, ...steps: object[]): void => {
    for (const step of steps) compileHeaderMutation(v.parse(HeaderMutation, step))(head, hashStream(request));
  };

  it('runs steps one after the other', () => {
    const head = requestHead('/', { headers: [['a', '1']] });
    apply(head, { append: option('b', '%REQ(x-user)%') }, { remove: 'A' }, { append: option('a', '2') });
    expect([...head]).toEqual([
      ['b', 'ada'],
      ['a', '2'],
    ]);
  });

  it('may replace pseudo-headers', () => {
    const head = requestHead('/old');
    apply(head, { append: option(':path', '/new') }, { append: option('host', 'other') });
    expect([head.path, head.authority, head.length]).toEqual(['/new', 'other', 0]);
  });
});
