import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseFully } from '../../src/config/document.ts';
import { readPlainYaml } from '../../src/config/plain-yaml.ts';
import { rightFiles, shippedFiles, sidecarFiles, wrongFiles } from './corpus.ts';

/** What the full parser makes of it; undefined for a syntax error. */
function full(text: string): { data: unknown } | undefined {
  const source = parseFully(text);
  return Array.isArray(source) ? undefined : { data: source.data };
}

const all = [...rightFiles, ...sidecarFiles, ...shippedFiles, ...wrongFiles];

describe('readPlainYaml', () => {
  it('reads ordinary files as the full parser does', () => {
    const read = all.filter(({ text }) => readPlainYaml(text) !== undefined);
    expect(read.length).toBeGreaterThan(all.length * 0.9);
    for (const { text } of read) expect(readPlainYaml(text)).toEqual(full(text));
  });

  it.each([
    'a: 1\nb: [x, "y z", {c: d}]\n',
    '- - 1\n  - 2\n-\n  a: b\n- c: d\n  e:\n  - f\n',
    'a:\nb: ~\nc: ""\n',
    "a: 'it''s' # comment\n# comment\nb: x#y\n",
    '{"a": {"b": [1, 2.5, -3, true, null, "\\n\\"\\\\"]}}',
    'on: yes\noff: No\ny: n\n5: six\nnull: x\n',
    'time: 1.5s\naddress: ::1\nurl: http://a:80/b?c=d&e\nversion: 1.2.3\noctal: 010\n',
    'a: [\n  b, # comment\n  c\n  ]\n',
  ])('reads %j', (text) => {
    expect(readPlainYaml(text)).toBeDefined();
    expect(readPlainYaml(text)).toEqual(full(text));
  });

  it.each([
    ['anchors', 'a: &x 1\nb: *x\n'],
    ['tags', 'a: !!str 1\n'],
    ['block texts', 'a: |\n  x\n'],
    ['texts over several lines', 'a: x\n  y\n'],
    ['quoted texts over several lines', 'a: "x\n  y"\n'],
    ['document markers', '---\na: 1\n'],
    ['tabs', 'a:\tb\n'],
    ['escapes that JSON has not', 'a: "\\x41"\n'],
    ['hexadecimal numbers', 'a: 0x10\n'],
    ['complex keys', '? a\n: b\n'],
    ['nothing', '# only a comment\n'],
    ['a key given twice', 'a: 1\na: 2\n'],
    ['the key __proto__', '__proto__: 1\n'],
    ['wrong indentation', 'a: 1\n  b: 2\n'],
    ['a collection that does not end', 'a: [1, 2\n'],
    ['two values on a line', 'a: "b" c\n'],
    ['a map inside a value', 'a: b: c\n'],
    ['very deep nesting', '['.repeat(5000) + ']'.repeat(5000)],
  ])('leaves %s to the full parser', (_, text) => {
    expect(readPlainYaml(text)).toBeUndefined();
  });

  it('reads whatever a YAML writer writes, or leaves it', () => {
    const data = fc.dictionary(fc.string({ maxLength: 8 }), fc.jsonValue({ maxDepth: 4 }));
    fc.assert(
      fc.property(data, fc.boolean(), (value, flow) => {
        const text = stringify(value, { collectionStyle: flow ? 'flow' : 'any' });
        const read = readPlainYaml(text);
        if (read !== undefined) expect(read).toEqual(full(text));
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with the full parser on files that were damaged at random', () => {
    const pieces = [
      '\n',
      ' ',
      ': ',
      '- ',
      '#',
      ' #',
      ',',
      '[',
      '}',
      '"',
      "'",
      '\\',
      'yes',
      '?',
      '|',
      '&a',
      '\n  ',
      '-',
      ':',
      '.5',
      '\u00a0',
      '\u2028',
    ];
    const damage = fc.record({
      file: fc.integer({ min: 0, max: all.length - 1 }),
      firstLine: fc.nat(60),
      lines: fc.integer({ min: 1, max: 8 }),
      edits: fc.array(fc.record({ at: fc.nat(400), remove: fc.nat(2), insert: fc.constantFrom('', ...pieces) }), {
        minLength: 1,
        maxLength: 4,
      }),
    });
    fc.assert(
      fc.property(damage, ({ file, firstLine, lines, edits }) => {
        let text = all[file]!.text.split('\n')
          .slice(firstLine, firstLine + lines)
          .join('\n');
        for (const { at, remove, insert } of edits) {
          const place = at % (text.length + 1);
          text = text.slice(0, place) + insert + text.slice(place + remove);
        }
        const read = readPlainYaml(text);
        if (read !== undefined) expect(read).toEqual(full(text));
      }),
      { numRuns: 3000 },
    );
  });
});
