import { type Case, get, REFUSED, type Scenario } from '../harness/case.ts';

const PATHS = [
  '/a/./b/../c',
  '/..',
  '/../a',
  '/a/..',
  '/a/.',
  '/a//b',
  '//',
  '//a',
  '/a///',
  '/a%2fb',
  '/a%2F%5cb',
  '/a%5Cb',
  '/a\\b',
  '/%2e%2e/a',
  '/a/%2E/b',
  '/%41%7e',
  '/%zz',
  '/%',
  '/a%00b',
  '/a?b=/../c//d',
  '/a;x/../b',
  '/..;/a',
  '/a|b',
  '/"a"',
  '/a%25',
  '/%c3%a9',
  '/a/..%2fb',
  '/./',
  '/...',
];

/** Paths that escaped slashes keep from being forwarded: the logs show another one. */
function notForwarded(path: string, scenario: string): Case['differs'] & object {
  const isStopped = scenario === 'path-reject' || scenario === 'path-redirect';
  return isStopped && /%(2f|5c)/i.test(path) ? { 'path-as-it-came': ['log'] } : {};
}

/** What becomes of paths under the settings that normalise them. */
export const paths: readonly Scenario[] = [
  ['path-normalize', 'normalize_path: true'],
  ['path-merge', 'merge_slashes: true'],
  ['path-both', 'normalize_path: true\nmerge_slashes: true'],
  ['path-reject', 'path_with_escaped_slashes_action: REJECT_REQUEST'],
  ['path-redirect', 'path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT\nnormalize_path: true'],
  ['path-forward', 'path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD\nmerge_slashes: true\nnormalize_path: true'],
].map(
  ([name, manager]): Scenario => ({
    name: name as string,
    manager: manager as string,
    cases: PATHS.map((path) => ({ name: path, differs: notForwarded(path, name as string), send: get(path) })),
  }),
);

const HOSTS = [
  'test.example',
  'test.example:80',
  'test.example.',
  'test.example.:80',
  'TEST.example:8080',
  '[::1]',
  '[::1]:80',
  'test.example:',
  'test.example:0',
  'test.example:99999',
  'test.example:+80',
  'a:b:80',
  '.',
  'example..',
];

/** A dot alone leaves nothing of the host. */
const EMPTIED = { 'empty-host': REFUSED.filter((facet) => facet !== 'fate') };

/** What becomes of hosts. */
export const hosts: readonly Scenario[] = [
  ['host-any-port', 'strip_any_host_port: true'],
  ['host-matching-port', 'strip_matching_host_port: true'],
  ['host-dot', 'strip_trailing_host_dot: true'],
  ['host-dot-port', 'strip_trailing_host_dot: true\nstrip_any_host_port: true'],
].map(
  ([name, manager]): Scenario => ({
    name: name as string,
    manager: manager as string,
    virtualHosts:
      '- name: named\n  domains: [test.example]\n  routes: [{ match: { prefix: /named }, direct_response: { status: 200, body: { inline_string: named } } }, { match: { prefix: / }, route: { cluster: $app } }]',
    cases: HOSTS.flatMap((host) => {
      const differs = host === '.' && name?.startsWith('host-dot') === true ? EMPTIED : {};
      return [
        { name: host, differs, send: `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
        { name: `${host}, routed`, differs, send: `GET /named HTTP/1.1\r\nHost: ${host}\r\n\r\n` },
      ];
    }),
  }),
);

/** Header names with underscores. */
export const underscores: readonly Scenario[] = [
  ['underscores-rejected', 'common_http_protocol_options: { headers_with_underscores_action: REJECT_REQUEST }'],
  ['underscores-dropped', 'common_http_protocol_options: { headers_with_underscores_action: DROP_HEADER }'],
].map(
  ([name, manager]): Scenario => ({
    name: name as string,
    manager: manager as string,
    cases: [
      { name: 'none', send: get('/', 'X-A: 1') },
      { name: 'one', send: get('/', 'X_A: 1', 'X-B: 2') },
      { name: 'content_length', send: get('/', 'Content_Length: 1') },
    ],
  }),
);
