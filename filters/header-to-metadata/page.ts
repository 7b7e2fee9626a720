import type { FilterPage } from '../../src/filter/page.ts';

export const headerToMetadataPage: FilterPage = {
  name: 'envoy.filters.http.header_to_metadata',
  slug: 'header-to-metadata',
  summary: 'Keeps values of headers and cookies where rules, limits and logs find them',
  text: `Metadata is \`%DYNAMIC_METADATA(namespace:key)%\` in formats, and \`metadata\` in RBAC and in matchers.`,
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- header_read: { header: x-tenant, as: tenant, default: nobody }
- header_mutation: { request: { set: { x-seen: '%DYNAMIC_METADATA(outrigger:tenant)%' } } }
`,
  tries: [
    { request: { headers: { 'x-tenant': 'acme' } }, answer: { status: 200 }, appGets: { 'x-seen': 'acme' } },
    { request: {}, answer: { status: 200 }, appGets: { 'x-seen': 'nobody' } },
  ],
};
