import type { FilterPage } from '../src/filter/page.ts';

export const ipTaggingPage: FilterPage = {
  name: 'envoy.filters.http.ip_tagging',
  slug: 'ip-tagging',
  summary: 'Tells the app in a header from which named address ranges the client comes',
  statistics: {
    'http.<stat_prefix>.ip_tagging.<tag>.hit': 'requests from the range',
    'http.<stat_prefix>.ip_tagging.no_hit': 'requests from none',
    'http.<stat_prefix>.ip_tagging.total': 'requests that were looked at',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- ip_tag: { tags: { loopback: 127.0.0.0/8, office: [192.0.2.0/24, '2001:db8::/32'] } }
`,
  tries: [{ request: {}, answer: { status: 200 }, appGets: { 'x-envoy-ip-tags': 'loopback' } }],
};
