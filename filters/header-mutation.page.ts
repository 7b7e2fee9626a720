import type { FilterPage } from '../src/filter/page.ts';

export const headerMutationPage: FilterPage = {
  name: 'envoy.filters.http.header_mutation',
  slug: 'header-mutation',
  summary: 'Sets, adds and removes headers of requests and responses',
  text: `Values may hold the operators of log formats, such as \`%REQ(:PATH)%\`. Mutations of routes come after those of the
filter.`,
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- header_mutation:
    request: { set: { x-path: '%REQ(:PATH)%' }, remove: [x-debug] }
    response: { default: { cache-control: no-store } }
`,
  tries: [
    {
      request: { path: '/items', headers: { 'x-debug': '1' } },
      answer: { status: 200, headers: { 'cache-control': 'no-store' } },
      appGets: { 'x-path': '/items', 'x-debug': undefined },
    },
  ],
};
