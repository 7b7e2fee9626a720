import * as v from 'valibot';
import {
  bool,
  check,
  enumOf,
  list,
  message,
  nonEmptyString,
  oneof,
  optional,
  Problem,
  string,
  unsupported,
} from '../../src/config/schema/building-blocks.ts';
import { RegexMatchAndSubstitute } from '../../src/config/schema/matcher.ts';
import { defineHttpFilter, type HttpStream } from '../../src/filter/index.ts';
import type { HeaderMap } from '../../src/http/headers.ts';
import { compileSubstitution } from '../../src/matching/regex.ts';
import { fromWireText, toWireText } from '../../src/matching/wire-text.ts';
import { decodeProtobufValue } from './protobuf-value.ts';

/** Values of this length and above are not taken, as in Envoy. */
const MAX_VALUE_BYTES = 8 * 1024;
const NAMESPACE = 'envoy.filters.http.header_to_metadata';

const KeyValuePair = message(
  {
    metadata_namespace: optional(string(), ''),
    key: nonEmptyString(),
    value: optional(string(), ''),
    regex_value_rewrite: optional(RegexMatchAndSubstitute),
    type: optional(enumOf(['STRING', 'NUMBER', 'PROTOBUF_VALUE']), 'STRING'),
    encode: optional(enumOf(['NONE', 'BASE64']), 'NONE'),
  },
  check((pair) =>
    pair.value !== '' && pair.regex_value_rewrite !== undefined
      ? new Problem('cannot be given together with "value"', { path: ['regex_value_rewrite'] })
      : undefined,
  ),
);
type KeyValuePair = v.InferOutput<typeof KeyValuePair>;

const Rule = message(
  {
    header: optional(string(), ''),
    cookie: optional(string(), ''),
    on_header_present: optional(KeyValuePair),
    on_header_missing: optional(KeyValuePair),
    remove: optional(bool(), false),
  },
  oneof(['header', 'cookie'], { required: true }),
  check((rule) => {
    if (rule.header === '' && rule.cookie === '') return new Problem('one of header, cookie must not be empty');
    if (rule.on_header_present === undefined && rule.on_header_missing === undefined) {
      return new Problem('one of on_header_present, on_header_missing is required');
    }
    if (rule.cookie !== '' && rule.remove) return new Problem('is not possible for a cookie', { path: ['remove'] });
    if (rule.on_header_missing?.value === '') {
      return new Problem('must not be empty', { path: ['on_header_missing', 'value'] });
    }
    return undefined;
  }),
);
type Rule = v.InferOutput<typeof Rule>;

/** envoy.extensions.filters.http.header_to_metadata.v3.Config. */
export const HeaderToMetadata = message(
  { request_rules: optional(list(Rule), []), response_rules: optional(list(Rule), []) },
  unsupported('its statistics are not kept', 'stat_prefix'),
);
export type HeaderToMetadata = v.InferOutput<typeof HeaderToMetadata>;

/** The same message on a route, where it must have rules. */
export const HeaderToMetadataPerRoute = v.pipe(
  HeaderToMetadata,
  v.check(
    (config) => config.request_rules.length + config.response_rules.length > 0,
    'one of request_rules, response_rules is required',
  ),
);

/**
 * Copies headers and cookies into dynamic metadata, where load balancing, RBAC and access logs find them (Envoy:
 * envoy.filters.http.header_to_metadata).
 *
 * @example
 * '@type': type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config
 * request_rules:
 *   - header: x-version
 *     on_header_present: { metadata_namespace: envoy.lb, key: version, type: STRING }
 *     on_header_missing: { metadata_namespace: envoy.lb, key: default, value: 'true' }
 *     remove: false
 */
export const headerToMetadata = defineHttpFilter<HeaderToMetadata>({
  name: NAMESPACE,
  configType: 'envoy.extensions.filters.http.header_to_metadata.v3.Config',
  config: HeaderToMetadata,
  routeConfigType: 'envoy.extensions.filters.http.header_to_metadata.v3.Config',
  routeConfig: HeaderToMetadataPerRoute,
  semantics: { side: 'either', state: 'none', body: 'none' },
  create(base, env) {
    const config = env.routeConfigs.at(-1) ?? base;
    const onRequest = compileRules(config.request_rules);
    const onResponse = compileRules(config.response_rules);
    return { ...(onRequest !== undefined && { onRequest }), ...(onResponse !== undefined && { onResponse }) };
  },
});

type Apply = (head: HeaderMap, stream: HttpStream) => void;

function compileRules(rules: readonly Rule[]): Apply | undefined {
  const applies = rules.map(compileRule);
  const [first] = applies;
  if (first === undefined || applies.length === 1) return first;
  return (head, stream) => {
    for (let i = 0; i < applies.length; i++) (applies[i] as Apply)(head, stream);
  };
}

function compileRule(rule: Rule): Apply {
  const name = rule.header.toLowerCase();
  const read: (head: HeaderMap) => string | undefined =
    rule.cookie === '' ? (head) => head.get(name) : (head) => cookieValue(head, rule.cookie);
  const present = rule.on_header_present === undefined ? undefined : compileWrite(rule.on_header_present);
  const missing = rule.on_header_missing === undefined ? undefined : compileWrite(rule.on_header_missing);
  const remove = rule.remove;
  return (head, stream) => {
    const value = read(head);
    if (value === undefined) {
      missing?.(stream, '');
      return;
    }
    if (remove) head.remove(name);
    present?.(stream, value);
  };
}

/** Compiles what happens with a value as it came off the wire. An empty or unreadable one is not written. */
function compileWrite(pair: KeyValuePair): (stream: HttpStream, wireValue: string) => void {
  const namespace = pair.metadata_namespace === '' ? NAMESPACE : pair.metadata_namespace;
  const key = pair.key;
  const convert = compileConversion(pair);
  if (pair.value !== '') {
    const value = convert(toWireText(pair.value));
    return value === undefined ? () => {} : (stream) => stream.setMetadata(namespace, key, value);
  }
  const rewrite =
    pair.regex_value_rewrite === undefined
      ? undefined
      : compileSubstitution(pair.regex_value_rewrite.pattern.regex, pair.regex_value_rewrite.substitution);
  return (stream, wireValue) => {
    const text = rewrite === undefined ? wireValue : rewrite(wireValue);
    const value = text === '' || text.length >= MAX_VALUE_BYTES ? undefined : convert(text);
    if (value !== undefined) stream.setMetadata(namespace, key, value);
  };
}

/** Makes the metadata value of a text of bytes; undefined when it cannot be read as the type. */
function compileConversion(pair: KeyValuePair): (wireValue: string) => unknown {
  const fromBytes = compileType(pair.type);
  if (pair.encode === 'NONE') return fromBytes;
  return (wireValue) => {
    const digits = wireValue.replace(/={1,2}$/, '');
    if (digits === '' || digits.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(digits)) return undefined;
    return fromBytes(Buffer.from(digits, 'base64').toString('latin1'));
  };
}

function compileType(type: KeyValuePair['type']): (bytes: string) => unknown {
  switch (type) {
    case 'STRING':
      return fromWireText;
    case 'NUMBER':
      return (bytes) => (/^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$/.test(bytes) ? Number(bytes) : undefined);
    case 'PROTOBUF_VALUE':
      return (bytes) => {
        try {
          return decodeProtobufValue(Buffer.from(bytes, 'latin1'));
        } catch {
          return undefined;
        }
      };
  }
}

/** The first cookie of that name, without quotes; an empty one counts as missing. */
function cookieValue(head: HeaderMap, name: string): string | undefined {
  for (const line of head.getAll('cookie')) {
    for (const part of line.split(';')) {
      const cookie = part.trim();
      if (!cookie.startsWith(name) || cookie[name.length] !== '=') continue;
      const value = cookie.slice(name.length + 1);
      const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
      return (isQuoted ? value.slice(1, -1) : value) || undefined;
    }
  }
  return undefined;
}
