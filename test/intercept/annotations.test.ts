import { expect, test } from 'vitest';
import { parseAnnotations } from '../../src/intercept/annotations.ts';

test('reads what the downward API writes', () => {
  const { values, problems } = parseAnnotations(
    'a/b="1,2"\nempty=""\nquoted="say \\"hi\\"\\n\\\\x41 \\x41 \\u00e9"\nlast="has = and # in it"\n',
  );
  expect(problems).toEqual([]);
  expect(Object.fromEntries(values)).toEqual({
    'a/b': '1,2',
    empty: '',
    quoted: 'say "hi"\n\\x41 A é',
    last: 'has = and # in it',
  });
});

test('names the lines that it cannot read, and reads the others', () => {
  const { values, problems } = parseAnnotations('a=1\nb="2"\n="3"\nc="4\nd="\\q"\n');
  expect([...values.keys()]).toEqual(['b']);
  expect(problems).toEqual([
    'line 1: expected key="value", got a=1',
    'line 3: expected key="value", got ="3"',
    'line 4: expected key="value", got c="4',
    'line 5: expected key="value", got d="\\q"',
  ]);
});
