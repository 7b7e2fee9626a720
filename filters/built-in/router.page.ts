import type { FilterPage } from '../../src/filter/page.ts';

export const routerPage: FilterPage = {
  name: 'envoy.filters.http.router',
  slug: 'router',
  summary:
    'Sends the request to the cluster that its route names, tries again where the route says so, and brings the response back',
  text: `It is the last HTTP filter of every connection manager. What it does is in the route: timeouts, retries, mirrors, hash
policies, redirects and direct responses. See [Routes](../configuration.md#routes).`,
  statistics: {
    'cluster.<cluster>.upstream_rq_total': 'requests to the cluster',
    'cluster.<cluster>.upstream_rq_2xx': 'responses by class, `2xx` to `5xx`',
    'http.<stat_prefix>.no_route': 'requests that no route matched',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
routes:
- { path: /old/*, redirect: /new }
- { path: /hello, respond: { status: 200, body: hello } }
- { path: /items/*, to: items, timeout: 5s, retries: 2 }
- { path: '*', respond: { status: 404, body: no such page } }
upstreams:
  items: 127.0.0.1:3000
`,
  tries: [
    { request: { path: '/items/1' }, answer: { status: 200 } },
    { request: { path: '/hello' }, answer: { status: 200, body: 'hello' } },
    { request: { path: '/old/x' }, answer: { status: 301, headers: { location: 'http://app.test/new' } } },
    { request: { path: '/other' }, answer: { status: 404 } },
  ],
};
