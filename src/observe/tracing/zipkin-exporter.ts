import type { ZipkinConfig } from '../../config/schema/tracing.ts';
import type { Calls } from '../../filter/calls.ts';
import { objectToJson, quoteJson } from '../format/escape.ts';
import { SPAN_KIND, type Span } from './span.ts';
import type { SendOutcome, SendSpans, Tally } from './span-queue.ts';

/** Envoy's limit for a report. */
const TIMEOUT_MS = 5000;
/** What a collector answers to spans that it took. */
const ACCEPTED = 202;

export interface ReportStats {
  readonly sent: Tally;
  /** The collector answered otherwise. */
  readonly dropped: Tally;
  /** It did not answer. */
  readonly failed: Tally;
  readonly skippedNoCluster: Tally;
}

/** Sends batches to a Zipkin collector as JSON (Zipkin API v2, POST /api/v2/spans). */
export function zipkinSender(config: ZipkinConfig, service: string, calls: Calls, stats: ReportStats): SendSpans {
  const cluster = config.collector_cluster ?? '';
  const request = {
    method: 'POST',
    path: config.collector_endpoint ?? '',
    authority: config.collector_hostname || cluster,
    headers: [['content-type', 'application/json']] as const,
    timeoutMs: TIMEOUT_MS,
  };
  const endpoint = objectToJson({ serviceName: service });
  return async (spans): Promise<SendOutcome> => {
    const body = Buffer.from(`[${spans.map((span) => spanToJson(span, endpoint)).join(',')}]`, 'latin1');
    try {
      const { status } = await calls.request(cluster, { ...request, body });
      // Envoy knows the one status alone; a 200 is no reason to send spans twice either.
      (status === ACCEPTED ? stats.sent : stats.dropped).inc();
      if (status >= 200 && status < 300) return 'sent';
      return status === 429 || status >= 500 ? 'failed' : 'refused';
    } catch {
      stats.failed.inc();
      return 'failed';
    }
  };
}

/** One span in Zipkin's JSON, as a byte string. Times are microseconds. */
export function spanToJson(span: Span, endpoint: string): string {
  const start = Math.round(span.startEpochMs * 1000);
  const end = Math.max(start, Math.round(span.endEpochMs * 1000));
  const isServer = span.kind === SPAN_KIND.SERVER;
  const parent = span.parentId === '' ? '' : `,"parentId":"${span.parentId}"`;
  const shared = span.isShared ? ',"shared":true' : '';
  let tags = '';
  for (let i = 0; i < span.tags.length; i += 2)
    tags += `${i === 0 ? '' : ','}${quoteJson(span.tags[i] as string)}:${quoteJson(span.tags[i + 1] as string)}`;
  const events = span.events.map(
    (event) => `{"timestamp":${Math.round(event.atEpochMs * 1000)},"value":${quoteJson(event.name)}},`,
  );
  return (
    `{"traceId":"${span.traceId}","id":"${span.spanId}"${parent},"kind":"${isServer ? 'SERVER' : 'CLIENT'}",` +
    `"name":${quoteJson(span.name)},"timestamp":${start},"duration":${Math.max(1, end - start)},` +
    `"localEndpoint":${endpoint},"annotations":[${events.join('')}{"timestamp":${end},"value":"${isServer ? 'ss' : 'cr'}"}],` +
    `"tags":{${tags}}${shared}}`
  );
}
