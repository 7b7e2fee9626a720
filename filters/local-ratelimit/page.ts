import type { FilterPage } from '../../src/filter/page.ts';

export const localRateLimitPage: FilterPage = {
  name: 'envoy.filters.http.local_ratelimit',
  slug: 'local-ratelimit',
  summary: 'So many requests per time in this process, with bursts; more are answered 429',
  text: `A token bucket for all requests, for each connection, or for the descriptors that \`rate_limits\` make of a request. The
bucket is the process’s: worker threads share it.`,
  statistics: {
    '<stat_prefix>.http_local_rate_limit.enabled': 'requests that were looked at',
    '<stat_prefix>.http_local_rate_limit.ok': 'those that found a token',
    '<stat_prefix>.http_local_rate_limit.rate_limited': 'those that found none',
    '<stat_prefix>.http_local_rate_limit.enforced': 'those that were answered 429',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- rate_limit: { requests: 1, per: 1h, burst: 2, headers: true }
`,
  tries: [
    { request: {}, answer: { status: 200, headers: { 'x-ratelimit-remaining': '1' } } },
    { request: {}, answer: { status: 200 } },
    { request: {}, answer: { status: 429, body: 'local_rate_limited' } },
  ],
};
