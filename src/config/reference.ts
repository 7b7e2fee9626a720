import type * as v from 'valibot';
import type { FilterRegistry } from '../filter/registry.ts';
import { BUILT_IN_TYPES, extensionsOf } from './extensions.ts';
import * as accessLog from './schema/access-log.ts';
import * as bootstrap from './schema/bootstrap.ts';
import * as cluster from './schema/cluster.ts';
import type { ExtensionCategory } from './schema/containers.ts';
import * as core from './schema/core.ts';
import * as address from './schema/core-address.ts';
import * as endpoint from './schema/endpoint.ts';
import * as healthCheck from './schema/health-check.ts';
import * as manager from './schema/http-connection-manager.ts';
import * as protocol from './schema/http-protocol-options.ts';
import * as http2 from './schema/http2-protocol-options.ts';
import * as listener from './schema/listener.ts';
import * as listenerFilterMatch from './schema/listener-filter-match.ts';
import * as matcher from './schema/matcher.ts';
import type { MessageFacts } from './schema/message.ts';
import * as outlierDetection from './schema/outlier-detection.ts';
import * as percent from './schema/percent.ts';
import * as proxyProtocol from './schema/proxy-protocol.ts';
import * as retry from './schema/retry-policy.ts';
import * as route from './schema/route.ts';
import * as components from './schema/route-components.ts';
import * as routeMatchers from './schema/route-matchers.ts';
import * as router from './schema/router.ts';
import * as tcpProxy from './schema/tcp-proxy.ts';
import * as tls from './schema/tls.ts';
import * as tracing from './schema/tracing.ts';
import * as transport from './schema/transport-socket.ts';

/** The sections of the reference, in the order of a configuration file. */
const SECTIONS: readonly (readonly [title: string, messages: Readonly<Record<string, unknown>>])[] = [
  ['Bootstrap', bootstrap],
  ['Listeners', { ...listener, ...listenerFilterMatch }],
  ['PROXY protocol', proxyProtocol],
  ['TCP proxy', tcpProxy],
  ['HTTP connection manager', manager],
  ['Tracing', tracing],
  ['Router', router],
  ['Routes', { ...route, ...components, ...retry }],
  ['Matchers', { ...routeMatchers, ...matcher }],
  ['Clusters', { ...cluster, ...outlierDetection, ...endpoint, ...transport }],
  ['Health checks', healthCheck],
  ['TLS', tls],
  ['Protocol options', { ...protocol, ...http2 }],
  ['Access log', accessLog],
  ['Common messages', { ...core, ...address, ...percent }],
];

/** What schemas tell about themselves. */
export interface Facts {
  readonly type: string;
  readonly expects: string;
  readonly wrapped?: v.GenericSchema;
  readonly default?: unknown;
  readonly item?: v.GenericSchema;
  readonly category?: ExtensionCategory;
  readonly getter?: () => v.GenericSchema;
  readonly entries?: v.ObjectEntries;
  readonly limits?: Limits;
}

/** Bounds of numbers, durations, texts and lists. */
interface Limits {
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
  readonly minMs?: number;
  readonly maxMs?: number;
  readonly aboveMs?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly allowed?: string;
}

/** How a page names messages that are described elsewhere, as Markdown. */
export interface Links {
  readonly messages: ReadonlyMap<unknown, string>;
  /** Where the extension points are described. */
  readonly extensionPoints: string;
}

/** The supported subset of Envoy's configuration as Markdown, from the schemas themselves. */
export function configurationReference(registry: FilterRegistry): string {
  const links = linksTo('');
  const sections = SECTIONS.map(([title, messages]) => {
    const tables = Object.entries(messages).filter(([, schema]) => isMessage(schema));
    return [`## ${title}`, ...tables.map(([name, schema]) => table(`### ${name}`, schema as MessageFacts, links))].join(
      '\n\n',
    );
  });
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n\n${extensionPoints(registry)}\n`;
}

/** Links to the messages of the reference, which lies at `page` ('' for the page itself). */
export function linksTo(page: string): Links {
  const messages = new Map<unknown, string>();
  for (const [, section] of SECTIONS) {
    for (const [name, schema] of Object.entries(section)) {
      if (isMessage(schema)) messages.set(schema, `[${name}](${page}#${name.toLowerCase()})`);
    }
  }
  return { messages, extensionPoints: `${page}#extension-points` };
}

const INTRODUCTION = `# Configuration

Outrigger reads Envoy's v3 configuration (a bootstrap with static resources) as YAML or JSON. This page lists what is
supported, with Envoy's defaults, message by message; it is generated from the schemas that check the files
(\`npm test -- test/config/reference.test.ts -u\`). For the short form see [sidecar-file.md](sidecar-file.md).

- Field names are those of the protobuf messages, in \`snake_case\` or \`camelCase\`; \`null\` means unset.
- Durations are seconds with an \`s\`, as in \`1.5s\`; 0 switches a timeout off where Envoy says so.
- Numbers may be written as strings of digits, enums by name or number, \`bytes\` in base64.
- A field that is not listed is an error. \`outrigger check -c FILE\` reports every error of a file at once, each with its
  line, column and path, what is allowed, and what was probably meant.
- As in Envoy, unquoted \`yes\`, \`no\`, \`on\`, \`off\`, \`y\` and \`n\` are booleans, and an entry at the root whose key is
  tagged \`!ignore\` is a place for anchors.
- Files may name clusters, filters and domains only once and only where they exist; the router is the last HTTP filter,
  \`tcp_proxy\` or the connection manager the last network filter.
`;

export function isMessage(schema: unknown): schema is MessageFacts {
  return typeof schema === 'object' && schema !== null && (schema as unknown as Facts).type === 'message';
}

/** A message's fields below a heading. */
export function table(heading: string, message: MessageFacts, links: Links): string {
  const lines = [heading];
  const entries = Object.entries(message.entries);
  if (entries.length === 0) lines.push('No fields.');
  else {
    const rows = entries.map(([field, schema]) => row(field, schema as unknown as Facts, links));
    lines.push(['| field | type | default |', '| --- | --- | --- |', ...rows].join('\n'));
  }
  const refused = byReason(message.unsupported);
  if (refused.length > 0) lines.push(`Not supported: ${refused.join('; ')}.`);
  return lines.join('\n\n');
}

function row(field: string, schema: Facts, links: Links): string {
  const fallback = schema.type === 'optional' ? defaultText(schema.default) : 'required';
  return `| \`${field}\` | ${typeText(schema, links)} | ${fallback} |`;
}

function defaultText(value: unknown): string {
  if (value === undefined || value === '') return '';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === '{}' || text === '[]' ? '' : `\`${text}\``;
}

function typeText(schema: Facts, links: Links): string {
  if (schema.wrapped !== undefined) return typeText(schema.wrapped as unknown as Facts, links);
  if (schema.getter !== undefined) return typeText(schema.getter() as unknown as Facts, links);
  const link = links.messages.get(schema);
  if (link !== undefined) return link;
  if (schema.category !== undefined) return `[${schema.category}](${links.extensionPoints})`;
  if (schema.item !== undefined) {
    const item = typeText(schema.item as unknown as Facts, links);
    return schema.type === 'map' ? `map of ${item}` : `list of ${item}${listBounds(schema.limits)}`;
  }
  if (schema.entries !== undefined) {
    const parts = Object.entries(schema.entries).map(
      ([field, part]) => `${field}: ${typeText(part as unknown as Facts, links)}`,
    );
    return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
  }
  return `${schema.expects}${bounds(schema.limits)}`.replaceAll('|', '\\|');
}

/** ` (at least 1, at most 8192)`. */
function bounds(limits: Limits = {}): string {
  const { minLength = 0, maxLength, allowed, minMs, maxMs, aboveMs, min, max, above, below } = limits;
  const seconds = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : `${ms / 1000}s`);
  const parts: (readonly [string, number | string | undefined])[] = [
    ['at least ', min ?? seconds(minMs)],
    ['more than ', above ?? seconds(aboveMs)],
    ['at most ', max ?? seconds(maxMs)],
    ['less than ', below],
    ['not empty', minLength === 1 ? '' : undefined],
    ['at least ', minLength > 1 ? `${minLength} characters` : undefined],
    ['at most ', maxLength === undefined ? undefined : `${maxLength} bytes`],
    ['', allowed],
  ];
  const texts = parts.flatMap(([word, value]) => (value === undefined ? [] : [`${word}${value}`]));
  return texts.length === 0 ? '' : ` (${texts.join(', ')})`;
}

function listBounds({ min, max }: Limits = {}): string {
  if (min === undefined && max === undefined) return '';
  return max === undefined ? ` (at least ${min})` : ` (${min ?? 0} to ${max})`;
}

function byReason(unsupported: ReadonlyMap<string, string>): string[] {
  const fields = [...unsupported].filter(([field]) => !/[A-Z]/.test(field));
  return [...Map.groupBy(fields, ([, reason]) => reason)].map(
    ([reason, group]) => `${group.map(([field]) => `\`${field}\``).join(', ')} (${reason})`,
  );
}

function extensionPoints(registry: FilterRegistry): string {
  const extensions = extensionsOf(registry);
  const parts = Object.keys(BUILT_IN_TYPES).map((category) => {
    const types = [...extensions.names(category as ExtensionCategory)].sort();
    return `### ${category}\n\n${types.map((type) => `- \`${type}\``).join('\n')}`;
  });
  return `## Extension points\n\nWhat \`typed_config\` may hold, by the name in its \`@type\`.\n\n${parts.join('\n\n')}`;
}
