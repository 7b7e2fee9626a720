import type * as v from 'valibot';
import type { FilterPage, FilterTry } from '../filter/page.ts';
import type { FilterRegistry } from '../filter/registry.ts';
import type { FilterSemantics } from '../filter/semantics.ts';
import {
  DOWNSTREAM_TLS,
  HTTP_CONNECTION_MANAGER,
  HTTP_INSPECTOR,
  ORIGINAL_DST,
  PROXY_PROTOCOL,
  ROUTER,
  TCP_PROXY,
  TLS_INSPECTOR,
  UPSTREAM_PROXY_PROTOCOL,
  UPSTREAM_TLS,
} from './extensions.ts';
import { type Facts, isMessage, type Links, linksTo, table } from './reference.ts';
import { HttpConnectionManager } from './schema/http-connection-manager.ts';
import { HttpInspector, OriginalDst } from './schema/listener-filter-match.ts';
import type { MessageFacts } from './schema/message.ts';
import { ProxyProtocol, ProxyProtocolUpstreamTransport } from './schema/proxy-protocol.ts';
import { Router } from './schema/router.ts';
import { TcpProxy } from './schema/tcp-proxy.ts';
import { DownstreamTlsContext, TlsInspector, UpstreamTlsContext } from './schema/tls.ts';

/** What the code knows of a filter, for its page. */
export interface FilterFacts {
  readonly kind: 'HTTP filter' | 'network filter' | 'listener filter' | 'transport socket';
  /** Full protobuf name of its configuration. */
  readonly type: string;
  readonly config: unknown;
  readonly routeType?: string | undefined;
  readonly routeConfig?: unknown;
  readonly semantics?: FilterSemantics | undefined;
  /** What it costs, in lines. */
  readonly cost: readonly string[];
}

const PER_CONNECTION: FilterSemantics = { side: 'either', state: 'connection', body: 'none' };
/** Connections to upstreams, and the limits on them. */
const POOLS: FilterSemantics = { side: 'either', state: 'process', body: 'none' };

const OWN: Readonly<Record<string, Omit<FilterFacts, 'cost'>>> = {
  'envoy.filters.http.router': { kind: 'HTTP filter', type: ROUTER, config: Router, semantics: POOLS },
  'envoy.filters.network.http_connection_manager': {
    kind: 'network filter',
    type: HTTP_CONNECTION_MANAGER,
    config: HttpConnectionManager,
    semantics: PER_CONNECTION,
  },
  'envoy.filters.network.tcp_proxy': {
    kind: 'network filter',
    type: TCP_PROXY,
    config: TcpProxy,
    semantics: PER_CONNECTION,
  },
  'envoy.filters.listener.http_inspector': {
    kind: 'listener filter',
    type: HTTP_INSPECTOR,
    config: HttpInspector,
    semantics: PER_CONNECTION,
  },
  'envoy.filters.listener.original_dst': {
    kind: 'listener filter',
    type: ORIGINAL_DST,
    config: OriginalDst,
    semantics: PER_CONNECTION,
  },
  'envoy.filters.listener.proxy_protocol': {
    kind: 'listener filter',
    type: PROXY_PROTOCOL,
    config: ProxyProtocol,
    semantics: { ...PER_CONNECTION, side: 'ingress' },
  },
  'envoy.filters.listener.tls_inspector': {
    kind: 'listener filter',
    type: TLS_INSPECTOR,
    config: TlsInspector,
    semantics: PER_CONNECTION,
  },
  'envoy.transport_sockets.tls (listener)': {
    kind: 'transport socket',
    type: DOWNSTREAM_TLS,
    config: DownstreamTlsContext,
    semantics: { ...PER_CONNECTION, side: 'ingress' },
  },
  'envoy.transport_sockets.tls (cluster)': {
    kind: 'transport socket',
    type: UPSTREAM_TLS,
    config: UpstreamTlsContext,
    semantics: { ...PER_CONNECTION, side: 'egress' },
  },
  'envoy.transport_sockets.upstream_proxy_protocol': {
    kind: 'transport socket',
    type: UPSTREAM_PROXY_PROTOCOL,
    config: ProxyProtocolUpstreamTransport,
    semantics: { ...PER_CONNECTION, side: 'egress' },
  },
};

/** Names of what the proxy has besides the filters of the registry; each has a page too. */
export const OWN_NAMES: readonly string[] = Object.keys(OWN);

/** What the code knows of the filter that a page is about; undefined when there is no such filter. */
export function factsOf(name: string, registry: FilterRegistry, cost: readonly string[]): FilterFacts | undefined {
  const own = OWN[name];
  if (own !== undefined) return { ...own, cost };
  const http = [...registry.http.values()].find((filter) => filter.name === name);
  if (http !== undefined) {
    const { configType: type = '', config, routeConfigType: routeType, semantics } = http;
    return { kind: 'HTTP filter', type, config, routeType, routeConfig: http.routeConfig, semantics, cost };
  }
  const network = [...registry.network.values()].find((filter) => filter.name === name);
  if (network === undefined) return undefined;
  const { configType: type = '', config, semantics } = network;
  return { kind: 'network filter', type, config, semantics, cost };
}

/** The page of one filter as Markdown. */
export function filterPage(page: FilterPage, facts: FilterFacts): string {
  const { name, summary, text, statistics = {}, example, tries } = page;
  const parts = [
    `# ${titleOf(page)}`,
    `${summary}.`,
    factsTable(name, facts),
    ...(text === undefined ? [] : [text.trim()]),
    '## Example',
    `\`\`\`yaml\n${example.trim()}\n\`\`\``,
    'A test starts this file and makes these calls, in order:',
    triesTable(tries),
    '## Fields',
    ...fieldTables(facts.config),
    ...(facts.routeConfig === undefined ? [] : perRoute(facts)),
    ...(Object.keys(statistics).length === 0 ? [] : ['## Statistics', statisticsTable(statistics)]),
    '## Cost',
    facts.cost.map((line) => `- ${line}`).join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** The list of all pages as Markdown. */
export function filterIndex(pages: readonly (readonly [FilterPage, FilterFacts])[]): string {
  const rows = pages.map(([page, { kind, semantics }]) => {
    const { side = '', state = '', body = '' } = semantics ?? {};
    return `| [${titleOf(page)}](${page.slug}.md) | ${kind} | ${page.summary} | ${side} | ${state} | ${body} |`;
  });
  return `# Filters

What comes with the proxy, one page each: fields with types, defaults and bounds, statistics, an example that a test runs, and what
it costs beside Envoy. The pages are generated (\`npm test -- test/filters/pages.test.ts -u\`) from the schemas that check
configurations. Filters of your own are in [custom-filters.md](../custom-filters.md).

Side is the sidecar that may run it (the sender's is egress, the receiver's ingress), state what outlives a request, body what it
does with bodies.

| filter | kind | what it is for | side | state | body |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`;
}

/** `header-to-metadata` → `Header to metadata`. */
function titleOf({ slug }: FilterPage): string {
  const words = slug.replaceAll('-', ' ').replace(/\b(rbac|tls|tcp|http|cors|ip|jwt)\b/g, (word) => word.toUpperCase());
  return words.startsWith('grpc') ? words.replace('grpc', 'gRPC') : words.charAt(0).toUpperCase() + words.slice(1);
}

function factsTable(name: string, { kind, type, semantics }: FilterFacts): string {
  const rows = [
    ['name', `\`${name}\` (${kind})`],
    ['`@type`', `\`type.googleapis.com/${type}\``],
    ...(semantics === undefined
      ? []
      : [
          ['side', semantics.side],
          ['state', semantics.state],
          ['body', semantics.body],
        ]),
  ];
  return ['| | |', '| --- | --- |', ...rows.map(([key, value]) => `| ${key} | ${value} |`)].join('\n');
}

function triesTable(tries: readonly FilterTry[]): string {
  const rows = tries.map(({ request, answer, appGets }) => {
    const sees = Object.entries(appGets ?? {}).map(([header, value]) =>
      value === undefined ? `the app gets no \`${header}\`` : `the app gets \`${header}: ${value}\``,
    );
    return `| ${requestText(request)} | ${[answerText(answer), ...sees].join('; ')} |`;
  });
  return ['| call | what comes of it |', '| --- | --- |', ...rows].join('\n');
}

function requestText({ method = 'GET', path = '/', headers = {}, body, over, besides }: FilterTry['request']): string {
  const short = (value: string): string => (value.length > 60 ? `${value.slice(0, 57)}…` : value);
  return [
    `\`${method} ${path}\``,
    ...Object.entries(headers).map(([header, value]) => `\`${header}: ${short(value)}\``),
    ...(body === undefined ? [] : [isShort(body) ? `body \`${body}\`` : `a body of ${body.length} bytes`]),
    ...(over === undefined ? [] : [`over ${over}`]),
    ...(besides === undefined ? [] : [`while ${besides} other connection${besides === 1 ? ' is' : 's are'} open`]),
  ]
    .join(', ')
    .replaceAll('|', '\\|');
}

/** True for a text that can be read in a table. */
function isShort(body: string): boolean {
  return /^[ -~]{1,40}$/.test(body);
}

function answerText(answer: FilterTry['answer']): string {
  if (answer === 'closed') return 'the connection is closed';
  return [
    String(answer.status),
    ...Object.entries(answer.headers ?? {}).map(([header, value]) => `\`${header}: ${value}\``),
    ...(answer.body === undefined ? [] : [`the body has \`${answer.body}\``]),
  ]
    .join(', ')
    .replaceAll('|', '\\|');
}

function perRoute(facts: FilterFacts): string[] {
  const type = facts.routeType ?? facts.type;
  const intro = `In \`typed_per_filter_config\` of a virtual host, a route or a weighted cluster: \`${type}\``;
  if (rootOf(facts.routeConfig) === rootOf(facts.config)) return ['## Per route', `${intro}, the same message.`];
  return ['## Per route', `${intro}.`, ...fieldTables(facts.routeConfig, facts.config)];
}

function statisticsTable(statistics: Readonly<Record<string, string>>): string {
  const rows = Object.entries(statistics).map(([name, meaning]) => `| \`${name}\` | ${meaning} |`);
  return ['| name | what it counts |', '| --- | --- |', ...rows].join('\n');
}

/** A pipe is a message with further checks behind it. */
function rootOf(schema: unknown): unknown {
  return (schema as { pipe?: readonly unknown[] } | undefined)?.pipe?.[0] ?? schema;
}

/** The message and those below it that have no place in the reference; `known` has been described above. */
function fieldTables(checked: unknown, known?: unknown): string[] {
  const schema = rootOf(checked);
  if (!isMessage(schema)) return ['No fields.'];
  const outer = linksTo('../configuration.md');
  const messages = new Map(outer.messages);
  const own = new Map<MessageFacts, string>();
  const before = known === undefined ? new Set<MessageFacts>() : new Set(nestedIn(known).values());
  for (const [name, message] of nestedIn(schema)) {
    if (messages.has(message)) continue;
    if (!before.has(message)) own.set(message, name);
    messages.set(message, `[${name}](#${name.toLowerCase()})`);
  }
  const links: Links = { messages, extensionPoints: outer.extensionPoints };
  const [first = '', ...rest] = table('', schema, links).trim().split('\n\n');
  return [first, ...rest, ...[...own].map(([message, name]) => table(`### ${name}`, message, links))];
}

/** Messages with fields of their own below a message, by the name of the field that has them; each once. */
function nestedIn(schema: unknown): Map<string, MessageFacts> {
  const outer = linksTo('').messages;
  const found = new Map<string, MessageFacts>();
  const seen = new Set<unknown>([schema]);
  const visit = (part: unknown, name: string): void => {
    const facts = part as Facts & { wrapped?: unknown };
    const inner = facts.wrapped ?? facts.getter?.() ?? facts.item;
    if (inner !== undefined) visit(inner, name);
    if (!isMessage(part) || seen.has(part)) return;
    seen.add(part);
    // The reference describes it, or there is so little that it is written in place.
    if (outer.has(part) || Object.keys(part.entries).length === 0) return;
    found.set(found.has(name) ? `${name}-${found.size}` : name, part);
    for (const [field, entry] of Object.entries(part.entries)) visit(entry, field);
  };
  if (isMessage(schema))
    for (const [field, entry] of Object.entries(schema.entries as v.ObjectEntries)) visit(entry, field);
  return found;
}
