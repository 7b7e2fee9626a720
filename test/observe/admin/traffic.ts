import { FLAG } from '../../../src/http/response-flags.ts';
import { fakeStream } from '../fake-stream.ts';
import type { FakeView } from './fake-view.ts';

/** Lets `requests` go through a fake proxy: statistics, component times and, for every tenth, a denial. */
export function playTraffic(view: FakeView, requests: number): void {
  const http = view.store.scope('http.ingress_http');
  http.gauge('downstream_rq_active').set(2);
  http.gauge('downstream_cx_active').set(3);
  for (let i = 0; i < requests; i++) {
    http.counter('downstream_rq_total').inc();
    const denied = i % 10 === 9;
    http.counter(denied ? 'downstream_rq_4xx' : i % 97 === 3 ? 'downstream_rq_5xx' : 'downstream_rq_2xx').inc();
    http.histogram('downstream_rq_time').record(denied ? 0.4 : 1 + (i % 40));
    if (denied) deny(view, i);
  }
  view.threads.push({
    mode: 'sampled',
    every: 50,
    events: 1000,
    timed: 20,
    disturbed: 1,
    threadCpuNs: 14_000_000,
    probeNs: 100_000,
    routes: [
      {
        route: 'shop/app',
        requests: 10,
        reads: 20,
        parts: {
          event_poll: 12_000,
          os_read: 25_000,
          sidecar_read: 15_000,
          packet_processing: 8000,
          http_parse: 9000,
          header_codec: 7000,
          'filter/ip_tagging': 9000,
          'filter/rbac': 21_000,
          routing: 6000,
          sidecar_write: 12_000,
          os_write: 90_000,
        },
      },
      {
        route: 'tcp/mysql',
        requests: 0,
        reads: 4,
        parts: { os_read: 5000, os_write: 15_000, 'filter/connection_limit': 1100 },
      },
    ],
  });
}

function deny(view: FakeView, i: number): void {
  const limited = i % 20 === 19;
  view.store.counter(limited ? 'http_limit.http_local_rate_limit.enforced' : 'http.ingress_http.rbac.denied').inc();
  const info = fakeStream({
    fields: {
      startTimeEpochMs: Date.now(),
      responseCode: limited ? 429 : 403,
      responseFlags: limited ? FLAG.RL : 0,
      responseCodeDetails: limited ? 'local_rate_limited' : 'rbac_access_denied_matched_policy[no-admin-from-outside]',
    },
  });
  view.denialLog.record(info, 'inbound', limited ? 'local_ratelimit' : 'rbac');
}
