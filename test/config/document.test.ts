import { describe, expect, it } from 'vitest';
import { parseSource, type SourceDocument } from '../../src/config/document.ts';

function parsed(text: string): SourceDocument {
  const source = parseSource(text);
  if (Array.isArray(source)) throw new Error(JSON.stringify(source));
  return source;
}

describe('parseSource', () => {
  it('takes the words for booleans that Envoy takes, unless they are quoted', () => {
    expect(parsed('[yes, No, on, OFF, y, n, true, "yes", yess]').data).toEqual([
      true,
      false,
      true,
      false,
      true,
      false,
      true,
      'yes',
      'yess',
    ]);
  });

  it('leaves keys as they are written', () => {
    expect(parsed('on: 1\n0x10: &a 2\n').data).toEqual({ on: 1, '0x10': 2 });
  });

  it('expands aliases, and drops entries tagged !ignore as Envoy does', () => {
    expect(parsed('!ignore shared: &a { x: 1 }\nb: *a\nc: *a\n').data).toEqual({ b: { x: 1 }, c: { x: 1 } });
  });

  it('refuses aliases that would grow without bounds', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 9; i++)
      bomb.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect(parseSource(bomb.join('\n'))).toEqual([
      expect.objectContaining({ message: expect.stringMatching(/alias/i) }),
    ]);
  });

  it('survives nesting that would exhaust the stack', () => {
    expect(parseSource('['.repeat(200_000))).toEqual([
      expect.objectContaining({ message: 'the file is nested too deeply' }),
    ]);
  });

  it('reports keys that are given twice, with their place', () => {
    expect(parseSource('a: 1\nb: 2\na: 3\n')).toEqual([
      { line: 3, column: 1, path: '', message: 'Map keys must be unique' },
    ]);
  });

  it('reports every syntax error', () => {
    const problems = parseSource('a: [1\nb: "x\n');
    expect(Array.isArray(problems) && problems.length).toBeGreaterThan(0);
  });
});

describe('locate', () => {
  const source = parsed(
    'first: 1\nouter:\n  inner:\n    - name: a\n    - name: b\n      camelCase: &x { y: 1 }\nalias: *x\n',
  );

  it.each([
    [['first'], 1, 1],
    [['outer', 'inner'], 3, 3],
    [['outer', 'inner', 1], 5, 7],
    [['outer', 'inner', 1, 'name'], 5, 7],
    [['outer', 'inner', 1, 'camel_case', 'y'], 6, 23],
    [['alias', 'y'], 6, 23],
    [[], 1, 1],
  ])('finds %j at %d:%d', (path, line, column) => {
    expect(source.locate(path)).toEqual({ line, column });
  });

  it('answers with the nearest part above for what is missing', () => {
    expect(source.locate(['outer', 'inner', 0, 'missing', 'deeper'])).toEqual({ line: 4, column: 7 });
  });

  it('counts columns in JSON too', () => {
    expect(parsed('{"a": {\n  "b": 1}}').locate(['a', 'b'])).toEqual({ line: 2, column: 3 });
  });
});
