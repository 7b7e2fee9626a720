import type { FilterPage } from '../../src/filter/page.ts';

export const grpcStatsPage: FilterPage = {
  name: 'envoy.filters.http.grpc_stats',
  slug: 'grpc-stats',
  summary: 'Counts gRPC calls by service, method and status, and their messages',
  text: `Counters belong to the cluster that was called. Without a list of methods all calls are counted together.`,
  statistics: {
    'cluster.<cluster>.grpc.<service>.<method>.total': 'calls that are over',
    'cluster.<cluster>.grpc.<service>.<method>.success': 'those with status 0; `failure` the others',
    'cluster.<cluster>.grpc.<service>.<method>.<status>': 'calls with that status',
    'cluster.<cluster>.grpc.<service>.<method>.request_message_count': 'messages to the app',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- grpc_stats: { methods: shop.Orders/List }
`,
  tries: [
    {
      request: {
        method: 'POST',
        path: '/shop.Orders/List',
        headers: { 'content-type': 'application/grpc' },
        body: '\0\0\0\0\x01x',
      },
      answer: { status: 200 },
      appGets: { 'content-type': 'application/grpc' },
    },
  ],
};
