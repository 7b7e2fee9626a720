import { FLAG } from '../../../src/http/response-flags.ts';
import { fakeStream } from '../fake-stream.ts';
import type { FakeView } from './fake-view.ts';

/** Lets `requests` go through a fake proxy: statistics, filter times and, for every tenth, a denial. */
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
  const times = {
    ip_tagging: 0.0009,
    rbac: 0.0021,
    local_ratelimit: 0.0006,
    'stamp-request-id': 0.0134,
    router: 0.0042,
  };
  for (const [filter, ms] of Object.entries(times)) view.probe.timer('inbound / http', filter).add(ms);
  view.probe.timer('mysql / tcp', 'connection_limit').add(0.0011);
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
