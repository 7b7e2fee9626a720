import type { FilterPage } from '../../src/filter/page.ts';

export const tapPage: FilterPage = {
  name: 'envoy.filters.http.tap',
  slug: 'tap',
  summary: 'Records whole exchanges, those that match, as JSON: into files, or live for whoever asks',
  text: `With \`admin_config\` nothing is recorded until somebody asks the admin server with \`POST /tap\` or on its page. Values
of headers and parameters that are known for secrets are not written; \`outrigger\` has more names of such, and what
else Envoy does not have.`,
  statistics: {
    'http.<stat_prefix>.tap.rq_tapped': 'exchanges that were recorded',
    'http.<stat_prefix>.tap.rq_sampled_out': 'those that `tap_enabled` left out',
    'http.<stat_prefix>.tap.rq_lost': 'those that could not be written',
  },
  example: `listen: 127.0.0.1:8080
app: 127.0.0.1:3000
filters:
- name: envoy.filters.http.tap
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap
    common_config:
      static_config:
        match: { http_request_headers_match: { headers: [{ name: x-tap, present_match: true }] } }
        output_config:
          sinks: [{ format: JSON_BODY_AS_STRING, file_per_tap: { path_prefix: /var/log/taps/request } }]
`,
  tries: [
    {
      request: { method: 'POST', headers: { 'x-tap': '1', authorization: 'secret' }, body: 'recorded' },
      answer: { status: 200 },
    },
  ],
};
