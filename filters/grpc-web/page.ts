import type { FilterPage } from '../../src/filter/page.ts';

export const grpcWebPage: FilterPage = {
  name: 'envoy.filters.http.grpc_web',
  slug: 'grpc-web',
  summary: 'Lets browsers call gRPC services: gRPC-Web comes in, gRPC goes on',
  text: `Bodies may be binary or base64 (\`application/grpc-web-text\`). The trailers of the response come back as the last frame
of its body.`,
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- grpc_web: {}
`,
  tries: [
    {
      request: {
        method: 'POST',
        path: '/shop.Orders/List',
        headers: { 'content-type': 'application/grpc-web' },
        body: '\0\0\0\0\x01x',
      },
      answer: { status: 200 },
      appGets: { 'content-type': 'application/grpc', te: 'trailers' },
    },
    {
      request: {
        method: 'POST',
        path: '/shop.Orders/List',
        headers: { 'content-type': 'application/grpc-web-text' },
        body: '!',
      },
      answer: { status: 400 },
    },
  ],
};
