import { type CertificateDetails, type ContextCertificates, daysUntil } from '../certificates.ts';
import { componentMetrics, componentReport, filterTimes } from '../component-report.ts';
import { PROMETHEUS_CONTENT_TYPE, renderPrometheus } from '../prometheus.ts';
import type { StatsSnapshot } from '../stats-snapshot.ts';
import { clustersJson, clustersText, listenersJson, listenersText } from './cluster-status.ts';
import type { Command, CommandContext } from './command.ts';
import { dumpConfig } from './config-dump.ts';
import { liveStatus } from './live.ts';
import { AdminError, type AdminReply, jsonReply, textReply } from './reply.ts';
import { selectStats, statsJson, statsText } from './stats-text.ts';
import type { ProxyView } from './view.ts';

const STATS_FORMATS = ['text', 'json', 'prometheus'];

/** A test for names by an RE2 expression, searched for anywhere in the name. */
async function nameTest(query: URLSearchParams, parameter: string): Promise<(name: string) => boolean> {
  const expression = query.get(parameter);
  if (expression === null || expression === '') return () => true;
  const { RE2JS } = await import('re2js');
  try {
    const regex = RE2JS.compile(expression);
    return (name) => regex.test(name);
  } catch (error) {
    throw new AdminError(400, `Invalid re2 regex: ${(error as Error).message}\n`);
  }
}

/** A parameter without a value, or with any but `false`, is set. */
function isSet(query: URLSearchParams, parameter: string): boolean {
  const value = query.get(parameter);
  return value !== null && value !== 'false';
}

async function stats(context: CommandContext, format: string): Promise<AdminReply> {
  const { view, query } = context;
  if (!STATS_FORMATS.includes(format)) throw new AdminError(400, `usage: /stats?format=(${STATS_FORMATS.join('|')})\n`);
  const selected = selectStats(withServerGauges(await view.stats(), view), {
    accepts: await nameTest(query, 'filter'),
    usedOnly: isSet(query, 'usedonly'),
    type: (query.get('type') ?? 'all').toLowerCase(),
  });
  if (format === 'prometheus') {
    const components = componentMetrics(componentReport(await view.threadTimes()));
    return { status: 200, contentType: PROMETHEUS_CONTENT_TYPE, body: renderPrometheus(selected) + components };
  }
  if (format === 'json') return { status: 200, contentType: 'application/json', body: statsJson(selected) };
  return textReply(statsText(selected, query.get('histogram_buckets') === 'cumulative'));
}

function ready({ view }: CommandContext): AdminReply {
  const state = view.state();
  return textReply(`${state}\n`, state === 'LIVE' ? 200 : 503);
}

function restartVersion({ restart }: ProxyView): string {
  return restart?.version ?? 'disabled';
}

/** What only the process as a whole knows. */
function withServerGauges(snapshot: StatsSnapshot, { restart }: ProxyView): StatsSnapshot {
  const gauges = new Map(snapshot.gauges);
  gauges.set('server.hot_restart_epoch', restart?.epoch ?? 0);
  gauges.set('server.hot_restart_generation', restart?.generation ?? 1);
  return { ...snapshot, gauges };
}

function serverInfo({ view }: CommandContext): AdminReply {
  const since = (epochMs: number): string => `${Math.floor((Date.now() - epochMs) / 1000)}s`;
  return jsonReply({
    version: `outrigger/${view.version}/node-${process.versions.node}`,
    state: view.state(),
    uptime_current_epoch: since(view.startedAtEpochMs),
    uptime_all_epochs: since(view.restart?.firstStartedAtEpochMs ?? view.startedAtEpochMs),
    hot_restart_version: restartVersion(view),
    command_line_options: { ...view.options, restart_epoch: view.restart?.epoch ?? 0 },
    node: { ...view.node, user_agent_name: 'outrigger' },
  });
}

async function clusters({ view, query }: CommandContext): Promise<AdminReply> {
  const accepts = await nameTest(query, 'filter');
  const list = (await view.clusters()).filter((cluster) => accepts(cluster.name));
  return query.get('format') === 'json' ? jsonReply(clustersJson(list)) : textReply(clustersText(list));
}

async function listeners({ view, query }: CommandContext): Promise<AdminReply> {
  const list = await view.listeners();
  return query.get('format') === 'json' ? jsonReply(listenersJson(list)) : textReply(listenersText(list));
}

async function configDump({ view, query }: CommandContext): Promise<AdminReply> {
  const dump = dumpConfig(view.config(), await view.clusters(), {
    resource: query.get('resource') ?? undefined,
    mask: query.get('mask') ?? undefined,
    acceptsName: query.has('name_regex') ? await nameTest(query, 'name_regex') : undefined,
    includeEds: isSet(query, 'include_eds'),
  });
  return jsonReply(dump);
}

function contextJson({ authorities, chain }: ContextCertificates): object {
  return { ca_cert: authorities.map(certificateJson), cert_chain: chain.map(certificateJson) };
}

function certificateJson(certificate: CertificateDetails): object {
  return {
    path: certificate.path,
    serial_number: certificate.serialNumber,
    subject_alt_names: certificate.subjectAltNames,
    days_until_expiration: String(daysUntil(certificate.validToEpochMs)),
    valid_from: isoSeconds(certificate.validFromEpochMs),
    expiration_time: isoSeconds(certificate.validToEpochMs),
  };
}

/** RFC 3339 without fractions, as protobuf writes whole seconds. */
function isoSeconds(epochMs: number): string {
  return `${new Date(epochMs).toISOString().substring(0, 19)}Z`;
}

function memory(): AdminReply {
  const usage = process.memoryUsage();
  return jsonReply({
    allocated: String(usage.heapUsed + usage.external),
    heap_size: String(usage.heapTotal),
    pageheap_unmapped: '0',
    pageheap_free: String(usage.heapTotal - usage.heapUsed),
    total_thread_cache: '0',
    total_physical_bytes: String(usage.rss),
  });
}

function initDump(view: ProxyView): object {
  const pending = view.pendingInit();
  return pending.length === 0
    ? {}
    : { unready_targets_dumps: [{ name: 'init manager Server', target_names: pending }] };
}

const STATS_PARAMETERS = {
  usedonly: 'Only what was touched since the start',
  filter: 'Regular expression (RE2) that names must contain',
  format: `One of (${STATS_FORMATS.join(', ')})`,
  type: 'One of (All, Counters, Gauges, Histograms)',
  histogram_buckets: 'cumulative prints buckets instead of quantiles',
};

/** Commands that only tell. */
export const READ_COMMANDS: readonly Command[] = [
  { path: '/ready', method: 'GET', help: 'print server state, return 200 if LIVE, otherwise return 503', run: ready },
  { path: '/server_info', method: 'GET', help: 'print version, state and options', run: serverInfo },
  {
    path: '/stats',
    method: 'GET',
    help: 'print statistics',
    parameters: STATS_PARAMETERS,
    run: (context) => stats(context, context.query.get('format') ?? 'text'),
  },
  {
    path: '/stats/prometheus',
    method: 'GET',
    help: 'print statistics in Prometheus format',
    parameters: { usedonly: STATS_PARAMETERS.usedonly, filter: STATS_PARAMETERS.filter },
    run: (context) => stats(context, 'prometheus'),
  },
  {
    path: '/clusters',
    method: 'GET',
    help: 'upstream cluster status',
    parameters: { filter: 'Regular expression (RE2) for cluster names', format: 'One of (text, json)' },
    run: clusters,
  },
  {
    path: '/listeners',
    method: 'GET',
    help: 'print listener addresses',
    parameters: { format: 'One of (text, json)' },
    run: listeners,
  },
  {
    path: '/config_dump',
    method: 'GET',
    help: 'print the running configuration, secrets redacted',
    parameters: {
      resource: 'The repeated field to dump, such as static_listeners',
      mask: 'Field paths to keep, comma-separated; with resource, of each item',
      name_regex: 'Only resources whose name contains this regular expression (RE2)',
      include_eds: 'Endpoints too',
    },
    run: configDump,
  },
  {
    path: '/certs',
    method: 'GET',
    help: 'print certificates in use',
    run: async ({ view }) => jsonReply({ certificates: (await view.certificates()).map(contextJson) }),
  },
  {
    path: '/hot_restart_version',
    method: 'GET',
    help: 'print the hot restart compatibility version',
    run: ({ view }) => textReply(`${restartVersion(view)}\n`),
  },
  { path: '/memory', method: 'GET', help: 'print memory in use', run: memory },
  {
    path: '/init_dump',
    method: 'GET',
    help: 'print what start-up still waits for',
    run: ({ view }) => jsonReply(initDump(view)),
  },
  {
    path: '/denials',
    method: 'GET',
    help: 'print the last denials with filter and rule, the newest first',
    run: async ({ view }) => jsonReply({ denials: await view.denials() }),
  },
  {
    path: '/filters',
    method: 'GET',
    help: 'print the mean time of each filter per request and route, in nanoseconds (with --probe)',
    run: async ({ view }) => jsonReply({ filters: filterTimes(componentReport(await view.threadTimes())) }),
  },
  {
    path: '/components',
    method: 'GET',
    help: 'print where the CPU time goes, by route and component (with --probe)',
    run: async ({ view }) => jsonReply(componentReport(await view.threadTimes())),
  },
  {
    path: '/live',
    method: 'GET',
    help: 'print what the home page shows, for polling',
    run: async ({ view }) => jsonReply(await liveStatus(view)),
  },
];
