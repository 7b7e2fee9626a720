import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { HashPolicy } from '../../../src/config/schema/route-components.ts';
import { compileHashPolicies } from '../../../src/http/route/hash-policy.ts';
import { Hash64, hash64 } from '../../../src/matching/hash64.ts';
import { hashStream, requestHead } from './route-fixture.ts';

function hash(policies: readonly object[], path = '/', headers: [string, string][] = []): string | undefined {
  const compiled = compileHashPolicies(policies.map((policy) => v.parse(HashPolicy, policy)));
  return compiled?.(hashStream(requestHead(path, { headers })))?.toString();
}

function textHash(text: string): string {
  return hash64(text, new Hash64()).toString();
}

const header = (name: string, more: object = {}): object => ({ header: { header_name: name }, ...more });

describe('compileHashPolicies', () => {
  it('is nothing for none', () => {
    expect(compileHashPolicies([])).toBeUndefined();
  });

  it('hashes a header, and nothing when it is missing', () => {
    expect(hash([header('X-User')], '/', [['x-user', 'ada']])).toBe(textHash('ada'));
    expect(hash([header('X-User')])).toBeUndefined();
    expect(hash([header(':path')], '/a,b')).toBe(textHash('/a,b'));
  });

  it('hashes the lines of a header in any order alike', () => {
    const one = hash([header('x')], '/', [
      ['x', 'a'],
      ['x', 'b'],
    ]);
    expect(one).toBe(
      hash([header('x')], '/', [
        ['x', 'b'],
        ['x', 'a'],
      ]),
    );
    // XXH64 of "b" with that of "a" as its seed, from the reference implementation.
    expect(one).toBe('76d9a1916ddca8e6');
  });

  it('rewrites a header before hashing', () => {
    const rewrite = { pattern: { regex: '^user-(\\d+).*$' }, substitution: '\\1' };
    const policy = { header: { header_name: 'x', regex_rewrite: rewrite } };
    expect(hash([policy], '/', [['x', 'user-7-blue']])).toBe(textHash('7'));
  });

  it('hashes query parameter, address, cookie and filter state', () => {
    expect(hash([{ query_parameter: { name: 'q' } }], '/?q=1')).toBe(textHash('1'));
    expect(hash([{ query_parameter: { name: 'q' } }], '/')).toBeUndefined();
    expect(hash([{ connection_properties: { source_ip: true } }])).toBe(textHash('10.0.0.9'));
    expect(hash([{ connection_properties: {} }])).toBeUndefined();
    expect(hash([{ cookie: { name: 'c' } }], '/', [['cookie', 'a=1; c=2']])).toBe(textHash('2'));
    expect(hash([{ cookie: { name: 'c' } }])).toBeUndefined();
    expect(hash([{ filter_state: { key: 'user' } }])).toBe(textHash('ada'));
  });

  it('makes a cookie that is missing, the same for every stream of a connection', () => {
    const policy = v.parse(HashPolicy, { cookie: { name: 'sticky', ttl: '30s', path: '/u' } });
    const compiled = compileHashPolicies([policy]);
    const streams = [hashStream(requestHead('/')), hashStream(requestHead('/'))];
    const hashes = streams.map((stream) => String(compiled?.(stream)));
    const [cookie] = streams[0]?.cookies ?? [];
    expect(cookie).toMatch(/^sticky="[0-9a-f]{16}"; Max-Age=30; Path=\/u; HttpOnly$/);
    expect(streams[1]?.cookies).toEqual([cookie]);
    expect(hashes[0]).toBe(hashes[1]);
    // The client that comes back with it meets the same endpoint.
    const back = hashStream(requestHead('/', { headers: [['cookie', (cookie as string).split(';')[0] as string]] }));
    expect(String(compiled?.(back))).toBe(hashes[0]);
    expect(back.cookies).toEqual([]);
  });

  it('makes a session cookie for a ttl of 0', () => {
    const stream = hashStream(requestHead('/'));
    compileHashPolicies([v.parse(HashPolicy, { cookie: { name: 's', ttl: '0s' } })])?.(stream);
    expect(stream.cookies[0]).toMatch(/^s="[0-9a-f]{16}"; HttpOnly$/);
  });

  it('combines policies so that equal ones do not cancel out', () => {
    const both: [string, string][] = [
      ['a', 'x'],
      ['b', 'x'],
    ];
    const x = BigInt(`0x${textHash('x')}`);
    const rotated = BigInt.asUintN(64, x << 1n) | (x >> 63n);
    expect(hash([header('a'), header('b')], '/', both)).toBe((rotated ^ x).toString(16).padStart(16, '0'));
    expect(hash([header('missing'), header('b')], '/', both)).toBe(textHash('x'));
  });

  it('ends at a terminal policy that has a hash', () => {
    const policies = [header('a', { terminal: true }), header('b')];
    expect(
      hash(policies, '/', [
        ['a', '1'],
        ['b', '2'],
      ]),
    ).toBe(textHash('1'));
    expect(hash(policies, '/', [['b', '2']])).toBe(textHash('2'));
  });
});
