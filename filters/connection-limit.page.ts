import type { FilterPage } from '../src/filter/page.ts';

export const connectionLimitPage: FilterPage = {
  name: 'envoy.filters.network.connection_limit',
  slug: 'connection-limit',
  summary: 'So many connections at a time; others are closed',
  text: `The limit is the process’s: worker threads share it. \`delay\` keeps a refused connection open for a while, so that
clients do not come back at once.`,
  statistics: {
    'connection_limit.<stat_prefix>.active_connections': 'connections that count now',
    'connection_limit.<stat_prefix>.limited_connections': 'connections that were closed',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- connection_limit: 1
`,
  tries: [
    { request: {}, answer: { status: 200 } },
    { request: { besides: 1 }, answer: 'closed' },
  ],
};
