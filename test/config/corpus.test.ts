import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { builtinRegistry } from '../../filters/index.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { expandText } from '../../src/config/expand.ts';
import { loadConfig } from '../../src/config/load.ts';
import { rightFiles, shippedFiles, sidecarFiles, unsupportedFiles, wrongFiles } from './corpus.ts';

const registry = builtinRegistry();

describe('a wrong file is refused with its reason and place', () => {
  it.each(wrongFiles)('$name', ({ name, text }) => {
    const expected = /^# expect: (.+)$/m.exec(text)?.[1];
    let error: unknown;
    try {
      loadConfig(name, { registry, text });
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).message).toContain(expected);
    expect((error as ConfigError).message).toMatch(new RegExp(`^${name}:\\d+:\\d+  `));
  });
});

describe('what Envoy does and we do not is refused, all of it at once', () => {
  it.each(unsupportedFiles)('$name', ({ name, text }) => {
    const expected = [...text.matchAll(/^# expect: (.+)$/gm)].map(([, reason]) => reason as string);
    let problems: readonly string[] = [];
    try {
      loadConfig(name, { registry, text });
    } catch (thrown) {
      problems = (thrown as ConfigError).message.split('\n');
    }
    for (const reason of expected) expect(problems).toContainEqual(expect.stringContaining(reason));
    expect(problems).toHaveLength(expected.length);
  });
});

describe('a right file is accepted', () => {
  it.each([...rightFiles, ...sidecarFiles, ...shippedFiles])('$name', ({ name, text }) => {
    expect(loadConfig(name, { registry, text }).hash).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('what expand writes means the same as the file', () => {
  it.each([...rightFiles, ...sidecarFiles, ...shippedFiles])('$name', ({ name, text }) => {
    const expanded = expandText(name, text);
    expect(loadConfig('expanded', { registry, text: expanded }).hash).toBe(loadConfig(name, { registry, text }).hash);
    // Expanding twice changes nothing.
    expect(expandText('expanded', expanded)).toBe(expanded);
    expect(parse(expanded)).toEqual(JSON.parse(expandText(name, text, { json: true })));
  });
});
