import type { FilterPage } from '../../src/filter/page.ts';

export const jwtAuthnPage: FilterPage = {
  name: 'envoy.filters.http.jwt_authn',
  slug: 'jwt-authn',
  summary: 'Lets requests pass that carry a JSON Web Token which one of the issuers has signed',
  text: `Keys are in the configuration or fetched over a cluster. A missing or bad token is answered 401, one for another
audience 403. What is in the token may go to the app in headers, and to RBAC, limits and logs as metadata.`,
  statistics: {
    'http.<stat_prefix>.jwt_authn.allowed': 'requests that passed',
    'http.<stat_prefix>.jwt_authn.denied': 'requests that did not',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- name: envoy.filters.http.jwt_authn
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
    providers:
      example:
        issuer: https://issuer.example
        audiences: [shop]
        local_jwks:
          inline_string: '{"keys":[{"kty":"EC","x":"ghavbxrvLipmG8xFY8NB8nUa81ftJBwG2C1Kbs4DrV4","y":"6W4T7tyu4QWe9aknXMyC06oaiiEVgw4XKf9oMCOBvC8","crv":"P-256","kid":"k1","alg":"ES256","use":"sig"}]}'
        claim_to_headers: [{ header_name: x-user, claim_name: sub }]
    rules:
    - match: { path: /public }
    - match: { prefix: / }
      requires: { provider_name: example }
`,
  tries: [
    { request: {}, answer: { status: 401, body: 'Jwt is missing' } },
    { request: { path: '/public' }, answer: { status: 200 } },
    {
      request: {
        headers: {
          authorization:
            'Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic2hvcCIsInN1YiI6ImFubiIsImV4cCI6NDEwMjQ0NDgwMH0.rXq_OTx6ml0Jdr4UmyDTxg-AZRjzGKzh8TGJvtBJjY90jBKxtm7RaSk54cqzt1K4J-XZ-zMW-MwzFMgl1eOz4A',
        },
      },
      answer: { status: 200 },
      appGets: { 'x-user': 'ann', authorization: undefined },
    },
    {
      request: {
        headers: {
          authorization:
            'Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIiwidHlwIjoiSldUIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIiwiYXVkIjoic2hvcCIsInN1YiI6ImFubiIsImV4cCI6NDEwMjQ0NDgwMH0.rXq_OTx6ml0Jdr4UmyDTxg-AZRjzGKzh8TGJvtBJjY90jBKxtm7RaSk54cqzt1K4J-XZ-zMW-MwzFMgl1eAAAA',
        },
      },
      answer: { status: 401, body: 'Jwt verification fails' },
    },
  ],
};
