import { describe, expect, test } from 'vitest';
import { parseCallGraph } from '../../../policies/planner/call-graph-file.ts';
import { parseJson } from '../../../policies/planner/json-source.ts';
import type { SourceDocument } from '../../../src/config/document.ts';

function source(text: string): SourceDocument {
  const found = parseJson(text);
  if (found === undefined || Array.isArray(found)) throw new Error(JSON.stringify(found));
  return found;
}

const TEXT = `{
  "a": { "x y": [1, {"deep": "}\\"{"}, [], {}], "b": null },
  "list": [ "a", ["b", {"c": -1.5e3}],
    true ],
  "\\u0061b": {}
}`;

test('what is in it is what JSON says, and every part has its place', () => {
  const { data, locate } = source(TEXT);
  expect(data).toEqual(JSON.parse(TEXT));
  const place = (...path: (string | number)[]): string => {
    const { line, column } = locate(path);
    return TEXT.split('\n')[line - 1]!.slice(column - 1, column + 5);
  };
  expect(place('a')).toBe('"a": {');
  expect(place('a', 'x y', 0)).toBe('1, {"d');
  expect(place('a', 'x y', 1, 'deep')).toBe('"deep"');
  expect(place('a', 'x y', 3)).toBe('{}], "');
  expect(place('a', 'b')).toBe('"b": n');
  expect(place('list', 1, 1, 'c')).toBe('"c": -');
  expect(place('list', 2)).toBe('true ]');
  expect(place('ab')).toBe('"\\u006');
});

test('of what is not there, the place is that of the part above it', () => {
  const { locate } = source(TEXT);
  expect(locate(['a', 'none'])).toEqual(locate(['a']));
  expect(locate(['list', 9, 'c'])).toEqual(locate(['list']));
  expect(locate(['none'])).toEqual({ line: 1, column: 1 });
  expect(locate([])).toEqual({ line: 1, column: 1 });
});

describe('keys that are there twice are told with their places', () => {
  test.each([
    ['{"a": 1,\n "a": 2}', [{ line: 2, column: 2, key: 'a' }]],
    ['{"a": {"b": 1, "\\u0062": {}}, "b": {}}', [{ line: 1, column: 16, key: 'b' }]],
    ['[{"a": [{"b": 1}, {"b": 1}]}, {"a": 1}]', []],
    ['{"a": {}, "b": {"a": 1}, "c": [], "a": "a"}', [{ line: 1, column: 35, key: 'a' }]],
    ['{"__proto__": 1, "__proto__": 1}', [{ line: 1, column: 18, key: '__proto__' }]],
    ['{"a": ["a", "a"], "b": "a"}', []],
  ])('%s', (text, twice) => {
    const found = parseJson(text);
    const problems = twice.map(({ key, ...at }) => ({ ...at, path: '', message: `the key "${key}" is there twice` }));
    expect(Array.isArray(found) ? found : []).toEqual(problems);
  });
});

test('no JSON is somebody else’s', () => {
  for (const text of ['', '{', '{a: 1}', '{"a": 1} x']) expect(parseJson(text)).toBeUndefined();
});

test('a call graph of several megabytes is told what is there twice, and where something is wrong', {
  timeout: 60_000,
}, () => {
  const services = Array.from(
    { length: 15_000 },
    (_, at) => `    "service-${at}": {"labels": {"app": "service-${at}", "of": "${'x'.repeat(40)}"}}`,
  );
  const graph = (last: string): string => `{\n  "services": {\n${[...services, last].join(',\n')}\n  }\n}`;
  expect(graph('').length).toBeGreaterThan(1_000_000);
  const problem = (last: string): string => {
    try {
      parseCallGraph([{ file: 'g.json', text: graph(last) }]);
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(problem('    "service-7": {}')).toBe('g.json:15003:5  the key "service-7" is there twice');
  expect(problem('    "last": {"replica": 2}')).toMatch(
    /^g\.json:15003:14 {2}services\.last\.replica {2}unknown field; .*; did you mean replicas\?$/,
  );
});
