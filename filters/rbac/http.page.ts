import type { FilterPage } from '../../src/filter/page.ts';

export const httpRbacPage: FilterPage = {
  name: 'envoy.filters.http.rbac',
  slug: 'rbac',
  summary: 'Who may do what: methods, paths, headers, addresses, certificates, claims, with and, or and not',
  text: `With ALLOW a request needs one policy that holds, with DENY one denies it. Policies are asked in the order of their
names; the one that decided is in \`response_code_details\` and in the statistics. \`shadow_rules\` count and deny
nothing.`,
  statistics: {
    'http.<stat_prefix>.rbac.allowed': 'requests that passed',
    'http.<stat_prefix>.rbac.denied': 'requests answered 403',
    'http.<stat_prefix>.rbac.shadow_allowed': 'requests that `shadow_rules` would let pass',
    'http.<stat_prefix>.rbac.shadow_denied': 'requests that they would deny',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- rbac:
    allow:
    - { name: readers, methods: [GET, HEAD], paths: /items/* }
    - { name: staff, headers: { x-role: staff } }
`,
  tries: [
    { request: { path: '/items/1' }, answer: { status: 200 } },
    { request: { method: 'DELETE', path: '/items/1' }, answer: { status: 403, body: 'RBAC: access denied' } },
    { request: { method: 'DELETE', path: '/items/1', headers: { 'x-role': 'staff' } }, answer: { status: 200 } },
  ],
};
