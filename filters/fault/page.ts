import type { FilterPage } from '../../src/filter/page.ts';

export const faultPage: FilterPage = {
  name: 'envoy.filters.http.fault',
  slug: 'fault',
  summary:
    'Delays requests, answers them with errors or slows their responses down, for a share of them: how does the rest of the system cope?',
  text: `Faults may be for requests with certain headers, for certain upstream clusters, or be asked for by the caller with
\`x-envoy-fault-*\` headers (\`header_abort\`, \`header_delay\`). An abort has the flag FI, a delay DI, a slowed body RL.`,
  statistics: {
    'http.<stat_prefix>.fault.aborts_injected': 'requests answered with an error',
    'http.<stat_prefix>.fault.delays_injected': 'requests that waited',
    'http.<stat_prefix>.fault.response_rl_injected': 'responses that were slowed down',
    'http.<stat_prefix>.fault.faults_overflow': 'faults left out because of `max_active_faults`',
    'http.<stat_prefix>.fault.active_faults': 'faults under way',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- name: envoy.filters.http.fault
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
    abort: { http_status: 503, percentage: { numerator: 100 } }
    headers: [{ name: x-chaos, present_match: true }]
`,
  tries: [
    { request: {}, answer: { status: 200 } },
    { request: { headers: { 'x-chaos': 'yes' } }, answer: { status: 503, body: 'fault filter abort' } },
  ],
};
