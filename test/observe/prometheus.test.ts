import { spawnSync } from 'node:child_process';
// @ts-expect-error the parser comes without types
import parsePrometheus from 'parse-prometheus-text-format';
import { describe, expect, it } from 'vitest';
import { renderPrometheus } from '../../src/observe/prometheus.ts';
import { StatsStore } from '../../src/observe/stats.ts';
import { snapshotOf } from '../../src/observe/stats-snapshot.ts';

interface Family {
  name: string;
  type: string;
  metrics: {
    labels?: Record<string, string>;
    value?: string;
    buckets?: Record<string, string>;
    count?: string;
    sum?: string;
  }[];
}

function exampleStore(): StatsStore {
  const store = new StatsStore();
  const http = store.scope('http.ingress_http');
  http.counter('downstream_rq_total').add(7);
  http.counter('downstream_rq_2xx').add(6);
  http.counter('downstream_rq_5xx').add(1);
  http.gauge('downstream_rq_active').set(2);
  for (const time of [0.2, 3, 3.5, 12, 9e9]) http.histogram('downstream_rq_time').record(time);
  store.counter('http.other.downstream_rq_total').add(1);
  store.counter('cluster.we"ird\\na\nme.upstream_rq_total').add(4);
  store.counter('cluster.app-1.upstream_rq_200').add(5);
  store.gauge('outrigger.filters.loaded').set(3);
  // Names that come out alike, and a name of two kinds: what the format cannot say must not be said.
  store.counter('server.a-b').add(1);
  store.counter('server.a_b').add(2);
  store.gauge('server.a.b').set(3);
  return store;
}

const text = renderPrometheus(snapshotOf(exampleStore()));

/** The grammar of a line, by the format's documentation. */
const COMMENT = /^# TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge|histogram)$/;
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(
  `^([a-zA-Z_:][a-zA-Z0-9_:]*)\\{((?:${LABEL})?(?:,${LABEL})*)\\} (-?[0-9.]+(?:e[+-]?[0-9]+)?)$`,
);

describe('renderPrometheus', () => {
  it('keeps to the grammar: types first, families together, no series twice', () => {
    const families = new Set<string>();
    const series = new Set<string>();
    let family = '';
    expect(text.endsWith('\n')).toBe(true);
    for (const line of text.trimEnd().split('\n')) {
      if (line.startsWith('#')) {
        expect(line).toMatch(COMMENT);
        family = line.split(' ')[2] as string;
        expect(families.has(family)).toBe(false);
        families.add(family);
        continue;
      }
      expect(line).toMatch(SAMPLE);
      const [, name = '', labels = ''] = SAMPLE.exec(line) ?? [];
      expect(name.replace(/_(bucket|sum|count)$/, '') === family || name === family).toBe(true);
      expect(series.has(`${name}{${labels}}`)).toBe(false);
      series.add(`${name}{${labels}}`);
    }
  });

  it('is read by a parser, with names, tags and values as Envoy has them', () => {
    const families = parsePrometheus(text) as Family[];
    const byName = new Map(families.map((family) => [family.name, family]));
    expect(byName.get('envoy_http_downstream_rq_total')).toMatchObject({
      type: 'COUNTER',
      metrics: [
        { value: '7', labels: { envoy_http_conn_manager_prefix: 'ingress_http' } },
        { value: '1', labels: { envoy_http_conn_manager_prefix: 'other' } },
      ],
    });
    expect(
      byName.get('envoy_http_downstream_rq_xx')?.metrics.map((metric) => metric.labels?.envoy_response_code_class),
    ).toEqual(['2', '5']);
    expect(byName.get('envoy_cluster_upstream_rq')?.metrics[0]?.labels).toEqual({
      envoy_response_code: '200',
      envoy_cluster_name: 'app-1',
    });
    expect(byName.get('envoy_http_downstream_rq_active')).toMatchObject({ type: 'GAUGE', metrics: [{ value: '2' }] });
    expect(byName.get('outrigger_filters_loaded')).toMatchObject({ type: 'GAUGE', metrics: [{ value: '3' }] });
    expect(byName.get('envoy_http_downstream_rq_time')).toMatchObject({
      type: 'HISTOGRAM',
      metrics: [{ buckets: { '0.5': '1', '1': '1', '5': '3', '10': '3', '25': '4', '3600000': '4', '+Inf': '5' } }],
    });
    expect(text).toContain(
      'envoy_http_downstream_rq_time_sum{envoy_http_conn_manager_prefix="ingress_http"} 9000000018.7\n',
    );
    expect(text).toContain('envoy_http_downstream_rq_time_count{envoy_http_conn_manager_prefix="ingress_http"} 5\n');
  });

  // Debian's package serves Debian's Python, which need not be the first one in PATH.
  const python = ['python3', '/usr/bin/python3'].find(
    (command) => spawnSync(command, ['-c', 'import prometheus_client']).status === 0,
  );
  it("is read by Prometheus' own Python parser", (context) => {
    if (python === undefined) return context.skip('Python has no prometheus_client here');
    const script = [
      'import sys',
      'from prometheus_client.parser import text_string_to_metric_families as parse',
      'for f in parse(sys.stdin.read()):',
      '  for s in f.samples: print(s.name, sorted(s.labels.items()), float(s.value))',
    ].join('\n');
    const parsed = spawnSync(python, ['-c', script], { input: text, encoding: 'utf8' });
    expect(parsed.stderr).toBe('');
    expect(parsed.stdout).toContain(
      "envoy_http_downstream_rq_time_bucket [('envoy_http_conn_manager_prefix', 'ingress_http'), ('le', '+Inf')] 5.0\n",
    );
    expect(parsed.stdout).toContain(
      "envoy_cluster_upstream_rq_total [('envoy_cluster_name', 'we\"ird\\\\na\\nme')] 4.0\n",
    );
  });

  it('leaves out what the filter does not take', () => {
    const filtered = renderPrometheus(snapshotOf(exampleStore()), (name) => name.startsWith('outrigger'));
    expect(filtered).toBe('# TYPE outrigger_filters_loaded gauge\noutrigger_filters_loaded{} 3\n');
  });
});
