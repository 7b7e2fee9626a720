import type { MetadataMatcher, StringMatcher } from '../../src/config/schema/matcher.ts';
import { compileRegex } from '../../src/matching/regex.ts';
import { lowerAscii, toWireText } from '../../src/matching/wire-text.ts';
import type { Cover, HeaderSource, KeySource, RuleStream } from './policy-index.ts';

/** Under which keys the index files rules that compare texts. */

/** Which values a string matcher accepts, as a key; undefined where only evaluation can tell. */
export function textCover(source: KeySource, config: StringMatcher): Cover {
  if (config.safe_regex !== undefined) return regexCover(source, config.safe_regex.regex);
  if (config.exact === undefined && config.prefix === undefined) return undefined;
  const match = config.exact === undefined ? 'prefix' : 'exact';
  const value = toWireText(config.exact ?? (config.prefix as string));
  if (!config.ignore_case) return { kind: 'key', key: { match, source, value } };
  return { kind: 'key', key: { match, source: folded(source), value: lowerAscii(value) } };
}

/** The literal with which every text begins that the expression matches. */
export function regexCover(source: KeySource, regex: string): Cover {
  const prefix = compileRegex(regex).prefix;
  return prefix === '' ? undefined : { kind: 'key', key: { match: 'prefix', source, value: prefix } };
}

/** The same source with its letters in lower case. */
function folded(source: KeySource): KeySource {
  const { id, read, readMany, readLines } = source;
  const lower: KeySource = {
    id: `${id} in lower case`,
    read: (head, stream) => {
      const value = read(head, stream);
      return value === undefined ? undefined : lowerAscii(value);
    },
  };
  return {
    ...lower,
    ...(readMany === undefined ? {} : { readMany: (stream: RuleStream) => readMany(stream).map(lowerAscii) }),
    ...(readLines === undefined ? {} : { readLines: (head: HeaderSource) => readLines(head).map(lowerAscii) }),
  };
}

const NO_TEXTS: readonly string[] = Object.freeze([]);

/** Of a claim that is compared with a text, or a list of which one element is: the texts that are there. */
export function metadataCover(config: MetadataMatcher): Cover {
  if (config.invert) return undefined;
  const list = config.value.list_match?.one_of;
  const matcher = list === undefined ? config.value.string_match : list.string_match;
  if (matcher === undefined) return undefined;
  const [first = '', ...rest] = config.path.map(({ key }) => key ?? '');
  const claimOf = (stream: RuleStream): unknown => {
    let value = stream.getMetadata(config.filter, first);
    for (const key of rest) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
      value = (value as Record<string, unknown>)[key];
    }
    return value;
  };
  const path = JSON.stringify([config.filter, first, ...rest]);
  if (list === undefined) {
    const read = (_: HeaderSource, stream: RuleStream): string | undefined => {
      const value = claimOf(stream);
      return typeof value === 'string' ? toWireText(value) : undefined;
    };
    return textCover({ id: `metadata ${path}`, read }, matcher);
  }
  const readMany = (stream: RuleStream): readonly string[] => {
    const value = claimOf(stream);
    return Array.isArray(value) ? value.filter((part) => typeof part === 'string').map(toWireText) : NO_TEXTS;
  };
  return textCover({ id: `metadata list ${path}`, read: () => undefined, readMany }, matcher);
}
