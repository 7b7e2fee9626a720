import type { FilterPage } from '../src/filter/page.ts';

export const bufferPage: FilterPage = {
  name: 'envoy.filters.http.buffer',
  slug: 'buffer',
  summary: 'Collects the whole request before it goes on, for apps that take requests in one piece',
  text: `A request that is longer than the limit is answered 413. Upgraded connections have no end and pass.`,
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- buffer: 1KiB
`,
  tries: [
    { request: { method: 'POST', body: 'short' }, answer: { status: 200 } },
    { request: { method: 'POST', body: 'x'.repeat(2048) }, answer: { status: 413, body: 'Payload Too Large' } },
  ],
};
