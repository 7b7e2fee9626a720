import type { FilterPage } from '../src/filter/page.ts';

export const corsPage: FilterPage = {
  name: 'envoy.filters.http.cors',
  slug: 'cors',
  summary: 'Tells browsers which other origins may call the app, and answers their preflight requests',
  text: `The policy belongs to a virtual host or a route, in \`typed_per_filter_config\`; the short form puts it there. A field
that the more specific policy leaves unset comes from the less specific one.`,
  statistics: {
    'http.<stat_prefix>.cors.origin_valid': 'requests of origins that are allowed',
    'http.<stat_prefix>.cors.origin_invalid':
      'requests of others: they go on, without headers that a browser would accept',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- cors:
    origins: [https://app.example, '*.trusted.example']
    methods: [GET, PUT]
    max_age: 1h
`,
  tries: [
    {
      request: { headers: { origin: 'https://app.example' } },
      answer: { status: 200, headers: { 'access-control-allow-origin': 'https://app.example' } },
    },
    {
      request: {
        method: 'OPTIONS',
        headers: { origin: 'https://app.example', 'access-control-request-method': 'PUT' },
      },
      answer: {
        status: 200,
        headers: { 'access-control-allow-methods': 'GET, PUT', 'access-control-max-age': '3600' },
      },
    },
  ],
};
