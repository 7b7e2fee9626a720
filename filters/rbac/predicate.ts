import type { CidrRange } from '../../src/config/schema/core-address.ts';
import type { MetadataMatcher, StringMatcher } from '../../src/config/schema/matcher.ts';
import type { HeaderMatcher } from '../../src/config/schema/route-matchers.ts';
import { compileHeaderMatcher } from '../../src/matching/header-matcher.ts';
import { compileStringMatcher } from '../../src/matching/string-matcher.ts';
import { compileMetadataMatcher } from '../../src/matching/value-matcher.ts';
import { CidrSet } from '../../src/network/ip.ts';
import { metadataCover, regexCover, textCover } from './cover.ts';
import { authenticated, validated } from './identity.ts';
import type { Cover, HeaderSource, IndexedPolicy, KeySource, Predicate } from './policy-index.ts';
import type { Permission, Policy, Principal, UriTemplate } from './schema.ts';
import { uriTemplateRegex } from './uri-template.ts';

/** A rule compiled for evaluation, and the keys under which an index may file it. */
type Rule = IndexedPolicy;

const ANY: Rule = { matches: () => true, cover: undefined };

/** A policy matches when one of its permissions and one of its principals do. */
export function compilePolicy(policy: Policy): Rule {
  return each([any(policy.permissions.map(compilePermission)), any(policy.principals.map(compilePrincipal))]);
}

function compilePermission(rule: Permission): Rule {
  if (rule.and_rules !== undefined) return each(rule.and_rules.rules.map(compilePermission));
  if (rule.or_rules !== undefined) return any(rule.or_rules.rules.map(compilePermission));
  if (rule.not_rule !== undefined) return not(compilePermission(rule.not_rule));
  if (rule.header !== undefined) return header(rule.header);
  if (rule.url_path !== undefined) return text(PATH, rule.url_path.path);
  if (rule.uri_template !== undefined) return template(rule.uri_template.typed_config);
  if (rule.destination_ip !== undefined) return inRange(DESTINATION_IP, rule.destination_ip);
  if (rule.destination_port !== undefined) return port(rule.destination_port);
  if (rule.destination_port_range !== undefined) {
    const { start, end } = rule.destination_port_range;
    return {
      matches: (_, { connection }) => connection.localPort >= start && connection.localPort < end,
      cover: undefined,
    };
  }
  if (rule.requested_server_name !== undefined) return text(SERVER_NAME, rule.requested_server_name);
  return common(rule);
}

function compilePrincipal(id: Principal): Rule {
  if (id.and_ids !== undefined) return each(id.and_ids.ids.map(compilePrincipal));
  if (id.or_ids !== undefined) return any(id.or_ids.ids.map(compilePrincipal));
  if (id.not_id !== undefined) return not(compilePrincipal(id.not_id));
  if (id.header !== undefined) return header(id.header);
  if (id.url_path !== undefined) return text(PATH, id.url_path.path);
  if (id.direct_remote_ip !== undefined) return inRange(DIRECT_IP, id.direct_remote_ip);
  if (id.source_ip !== undefined) return inRange(CONNECTION_IP, id.source_ip);
  if (id.remote_ip !== undefined) return inRange(REMOTE_IP, id.remote_ip);
  if (id.authenticated !== undefined) return authenticated(id.authenticated.principal_name);
  if (id.custom !== undefined) return validated(id.custom.typed_config);
  if (id.filter_state !== undefined) {
    const { key, string_match } = id.filter_state;
    const matches = compileStringMatcher(string_match as StringMatcher);
    return {
      matches: (_, stream) => {
        const value = stream.getFilterState(key);
        return value !== undefined && matches(String(value));
      },
      cover: undefined,
    };
  }
  return common(id);
}

/** What permissions and principals have in common. */
function common(rule: Permission | Principal): Rule {
  if (rule.metadata !== undefined) return metadata(rule.metadata, 'DYNAMIC');
  if (rule.sourced_metadata !== undefined) {
    return metadata(rule.sourced_metadata.metadata_matcher, rule.sourced_metadata.metadata_source);
  }
  return ANY;
}

function each(rules: readonly Rule[]): Rule {
  const cover: Cover = { kind: 'each', of: rules.map((rule) => rule.cover) };
  const tests = rules.filter((rule) => rule !== ANY).map((rule) => rule.matches);
  const [first, second] = tests;
  if (first === undefined) return ANY;
  if (second === undefined) return { matches: first, cover };
  if (tests.length === 2) return { matches: (head, stream) => first(head, stream) && second(head, stream), cover };
  const matches: Predicate = (head, stream) => {
    for (let i = 0; i < tests.length; i++) if (!(tests[i] as Predicate)(head, stream)) return false;
    return true;
  };
  return { matches, cover };
}

function any(rules: readonly Rule[]): Rule {
  if (rules.includes(ANY)) return ANY;
  const [first, second] = rules;
  if (first !== undefined && second === undefined) return first;
  const tests = rules.map((rule) => rule.matches);
  const matches: Predicate = (head, stream) => {
    for (let i = 0; i < tests.length; i++) if ((tests[i] as Predicate)(head, stream)) return true;
    return false;
  };
  return { matches, cover: { kind: 'any', of: rules.map((rule) => rule.cover) } };
}

function not(rule: Rule): Rule {
  const inner = rule.matches;
  return { matches: (head, stream) => !inner(head, stream), cover: undefined };
}

const PATH: KeySource = { id: 'path', read: (head) => pathOf(head) };
const SERVER_NAME: KeySource = { id: 'server_name', read: (_, stream) => stream.connection.serverName };
const DESTINATION_IP: KeySource = { id: 'destination_ip', read: (_, stream) => stream.connection.localAddress };
const DIRECT_IP: KeySource = {
  id: 'direct_remote_ip',
  read: (_, { connection }) => connection.direct?.remoteAddress ?? connection.remoteAddress,
};
const CONNECTION_IP: KeySource = { id: 'connection_ip', read: (_, stream) => stream.connection.remoteAddress };
const REMOTE_IP: KeySource = { id: 'remote_ip', read: (_, stream) => stream.remoteAddress };

/** The path without query and fragment, as Envoy's url_path sees it. */
function pathOf(head: HeaderSource): string | undefined {
  const path = head.get(':path');
  if (path === undefined) return undefined;
  const query = path.indexOf('?');
  const fragment = path.indexOf('#');
  const end = query < 0 ? fragment : fragment < 0 ? query : Math.min(query, fragment);
  return end < 0 ? path : path.slice(0, end);
}

/** The path without its query, as a whole. */
function template({ path_template }: UriTemplate): Rule {
  return text(PATH, { safe_regex: { regex: uriTemplateRegex(path_template) }, ignore_case: false });
}

/** A string matcher over a text that every request has or that makes the rule false. */
function text(source: KeySource, config: StringMatcher): Rule {
  const matches = compileStringMatcher(config);
  const read = source.read;
  return {
    matches: (head, stream) => {
      const value = read(head, stream);
      return value !== undefined && matches(value);
    },
    cover: textCover(source, config),
  };
}

function inRange(source: KeySource, range: CidrRange): Rule {
  const set = new CidrSet([range]);
  const read = source.read;
  return {
    matches: (head, stream) => set.has(read(head, stream) as string),
    cover: { kind: 'key', key: { match: 'range', source, value: range } },
  };
}

const DESTINATION_PORT: KeySource = {
  id: 'destination_port',
  read: (_, stream) => String(stream.connection.localPort),
};

function port(value: number): Rule {
  return {
    matches: (_, stream) => stream.connection.localPort === value,
    cover: { kind: 'key', key: { match: 'exact', source: DESTINATION_PORT, value: String(value) } },
  };
}

function header(config: HeaderMatcher): Rule {
  return { matches: compileHeaderMatcher(config), cover: headerCover(config) };
}

function headerCover(config: HeaderMatcher): Cover {
  if (config.invert_match || config.treat_missing_header_as_empty) return undefined;
  const name = config.name;
  const isLine = !name.startsWith(':') && name !== 'host';
  const source: KeySource = {
    id: `header ${name}`,
    read: (head) => head.get(name),
    ...(isLine ? { readLines: (head) => head.getAll(name) } : {}),
  };
  if (config.string_match !== undefined) return textCover(source, config.string_match);
  const { exact_match: exact, prefix_match: prefix, safe_regex_match: regex } = config;
  if (regex !== undefined) return regexCover(source, regex.regex);
  if (prefix !== undefined) return textCover(source, { prefix, ignore_case: false });
  // The deprecated exact_match accepts every value when it is empty.
  return exact === undefined || exact === '' ? undefined : textCover(source, { exact, ignore_case: false });
}

function metadata(config: MetadataMatcher, source: 'DYNAMIC' | 'ROUTE'): Rule {
  const matches = compileMetadataMatcher(config);
  if (source === 'DYNAMIC') return { matches: (_, stream) => matches(stream), cover: metadataCover(config) };
  return {
    matches: (_, { route }) =>
      route !== undefined && matches({ getMetadata: (namespace, key) => route.metadata[namespace]?.[key as string] }),
    cover: undefined,
  };
}
