import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HeaderMap } from '../../src/http/headers.ts';

type Line = [name: string, value: string];

/** The same operations on a plain list. */
class ListModel {
  lines: Line[] = [];

  add(name: string, value: string): void {
    this.lines.push([name, value]);
  }
  set(name: string, value: string): void {
    const first = this.lines.findIndex(([one]) => one === name);
    if (first < 0) {
      this.add(name, value);
      return;
    }
    this.lines = this.lines.filter(([one], i) => one !== name || i === first);
    this.lines[first] = [name, value];
  }
  remove(name: string): boolean {
    const before = this.lines.length;
    this.lines = this.lines.filter(([one]) => one !== name);
    return this.lines.length < before;
  }
  getAll(name: string): string[] {
    return this.lines.filter(([one]) => one === name).map(([, value]) => value);
  }
}

const name = fc.constantFrom('a', 'b', 'set-cookie', 'x-one', 'content-length');
const value = fc.stringMatching(/^[!-~]{0,8}$/);

describe('a header map', () => {
  test('behaves as a list of lines', () => {
    const step = fc.tuple(fc.constantFrom('add', 'set', 'remove', 'get', 'getAll', 'has'), name, value);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const map = new HeaderMap();
        const model = new ListModel();
        for (const [what, n, v] of steps) {
          const all = model.getAll(n);
          if (what === 'add') map.add(n, v);
          if (what === 'set') map.set(n, v);
          if (what === 'add' || what === 'set') model[what](n, v);
          if (what === 'remove') expect(map.remove(n)).toBe(model.remove(n));
          if (what === 'get') expect(map.get(n)).toBe(all.length === 0 ? undefined : all.join(','));
          if (what === 'getAll') expect(map.getAll(n)).toEqual(all);
          if (what === 'has') expect(map.has(n)).toBe(all.length > 0);
          expect([...map]).toEqual(model.lines);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('that was reset holds nothing of the message before', () => {
    const map = new HeaderMap();
    map.add('a', '1');
    map.reset('');
    expect([...map]).toEqual([]);
    expect(map.get('a')).toBeUndefined();
    map.add('b', '2');
    expect([...map]).toEqual([['b', '2']]);
  });

  test('understands a name that begins with a capital letter', () => {
    const map = new HeaderMap();
    map.add('X-User', 'root');
    map.set('X-USER', 'nobody');
    expect([...map]).toEqual([['x-user', 'nobody']]);
    expect(map.get('X-User')).toBe('nobody');
    expect(map.has('X-user')).toBe(true);
    expect(map.remove('X-User')).toBe(true);
    expect([...map]).toEqual([]);
  });
});

describe('what would forge a header is refused', () => {
  const forgeries = ['a\r\nx: y', 'a\nx: y', 'a\rx', 'a\0', 'a\x7f', 'a\x0b', 'sn\u2603w', '\u010a', '\u{1f600}'];

  test.each(forgeries)('value %j', (bad) => {
    const map = new HeaderMap();
    map.add('a', 'kept');
    expect(() => map.add('b', bad)).toThrow(TypeError);
    expect(() => map.set('b', bad)).toThrow(TypeError);
    expect(() => map.set('a', bad)).toThrow(TypeError);
    expect([...map]).toEqual([['a', 'kept']]);
  });

  test.each(['', ' ', 'a b', 'a:', 'a\r\nx', 'a\n', ':path', 'a\0', 'caf\xe9', '\u212a', 'a,b', 'a"'])(
    'name %j',
    (bad) => {
      const map = new HeaderMap();
      expect(() => map.add(bad, 'v')).toThrow(TypeError);
      expect(() => map.set(bad, 'v')).toThrow(TypeError);
      expect([...map]).toEqual([]);
    },
  );

  test.each(['X-Evil', 'A\r\nx: y', 'A ', ''])('spelling %j', (bad) => {
    const map = new HeaderMap();
    expect(() => map.add('a', 'v', bad)).toThrow(TypeError);
    map.add('a', 'v', 'A');
    expect(() => map.set('a', 'v', bad)).toThrow(TypeError);
  });

  test('tab and bytes from 0x80 on are no forgery', () => {
    const map = new HeaderMap();
    map.add('a', 'x\ty\xff\x80');
    expect(map.get('a')).toBe('x\ty\xff\x80');
  });
});
