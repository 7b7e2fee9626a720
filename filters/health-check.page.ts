import type { FilterPage } from '../src/filter/page.ts';

export const healthCheckPage: FilterPage = {
  name: 'envoy.filters.http.health_check',
  slug: 'health-check',
  summary: 'Answers health checks in place of the app, or asks the app and remembers its answer',
  text: `After \`POST /healthcheck/fail\` on the admin port the answer is 503, and the flag LH marks it.`,
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- health_check: /healthz
- rbac: { allow: [{ paths: /items/* }] }
`,
  tries: [
    { request: { path: '/healthz' }, answer: { status: 200 } },
    { request: { path: '/other' }, answer: { status: 403 } },
  ],
};
