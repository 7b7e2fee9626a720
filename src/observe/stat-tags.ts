/** A part of a statistic's name that is data rather than name, such as the cluster. */
export interface StatTag {
  readonly label: string;
  readonly value: string;
}

export interface TaggedName {
  /** The name without its tags. */
  readonly name: string;
  readonly tags: readonly StatTag[];
}

interface TagRule {
  readonly label: string;
  /** Group 1 leaves the name, group 2 is the value. */
  readonly pattern: RegExp;
}

/**
 * Envoy's well-known tags in its order of extraction: each is looked for in the whole name. Like Envoy's, most values
 * end at the first dot: a cluster `a.b` is tagged `a`, so give names without dots.
 */
const RULES: readonly TagRule[] = [
  { label: 'envoy_response_code', pattern: /_rq(_(\d{3}))$/ds },
  { label: 'envoy_response_code_class', pattern: /_rq_((\d))xx$/ds },
  {
    label: 'envoy_rbac_policy_name',
    pattern: /^http\.[^.]*\.rbac\.(?:.*?\.)?policy\.((.*?)\.)(?:shadow_)?(?:allowed|denied)$/d,
  },
  { label: 'envoy_rbac_http_prefix', pattern: /^http\.[^.]*\.rbac\.((?!policy\.)(.*?)\.)/ds },
  { label: 'envoy_http_user_agent', pattern: /^http\..*?\.user_agent\.((.*?)\.)\w+$/ds },
  { label: 'envoy_virtual_cluster', pattern: /^vhost\..*?\.vcluster\.((.*?)\.)\w+$/ds },
  { label: 'envoy_fault_downstream_cluster', pattern: /^http\..*?\.fault\.((.*?)\.)\w+$/ds },
  { label: 'envoy_worker_id', pattern: /^listener\..*\.worker_((\d+)\.)/ds },
  { label: 'envoy_grpc_bridge_method', pattern: /^cluster\.[^.]*\.grpc\.[^.]*\.(([^.]*)\.)/ds },
  { label: 'envoy_grpc_bridge_service', pattern: /^cluster\.[^.]*\.grpc\.(([^.]*)\.)/ds },
  { label: 'envoy_local_http_ratelimit_prefix', pattern: /^((.*?)\.)http_local_rate_limit\./ds },
  { label: 'envoy_local_network_ratelimit_prefix', pattern: /^local_rate_limit\.((.*?)\.)/ds },
  { label: 'envoy_connection_limit_prefix', pattern: /^connection_limit\.((.*?)\.)/ds },
  { label: 'envoy_rbac_prefix', pattern: /^((?!http\.)([^.]+)\.)rbac\.(?:shadow_)?(?:allowed|denied)$/ds },
  { label: 'envoy_ratelimit_prefix', pattern: /^ratelimit\.((.*?)\.)\w+$/ds },
  { label: 'ratelimit_domain', pattern: /^ratelimit_service\.rate_limit\.(([^.]*)\.)/ds },
  { label: 'ratelimit_descriptor', pattern: /^ratelimit_service\.rate_limit\.[^.]*\.((.*)\.)\w+$/ds },
  {
    label: 'envoy_proxy_protocol_prefix',
    pattern: /^proxy_proto\.((?!versions\.)([^.]+)\.)(?:versions\.v\d\.)?\w+$/d,
  },
  { label: 'envoy_proxy_protocol_version', pattern: /^proxy_proto\.(?:[^.]+\.)?(versions\.v(\d)\.)\w+$/d },
  { label: 'envoy_tcp_prefix', pattern: /^tcp\.((.*?)\.)\w+$/ds },
  { label: 'envoy_http_conn_manager_prefix', pattern: /^(?:http|listener\..*?\.http)\.((.*?)\.)/ds },
  {
    label: 'envoy_tls_certificate',
    pattern: /^(?:listener|cluster)\..*?\.ssl\.certificate\.((.*)\.)expiration_unix_time_seconds$/d,
  },
  { label: 'envoy_xds_resource_name', pattern: /^sds\.((.*)\.)\w+$/d },
  { label: 'envoy_cluster_name', pattern: /^cluster\.((.*?)\.)/ds },
  { label: 'envoy_listener_address', pattern: /^listener\.((\d+\.\d+\.\d+\.\d+_\d+|(?!admin\.).*?)\.)/ds },
  { label: 'envoy_virtual_host', pattern: /^vhost\.((.*?)\.)/ds },
  { label: 'envoy_route', pattern: /^vhost\..*?\.route\.((.*?)\.)/ds },
];

const known = new Map<string, TaggedName>();
/** Names are few, but a reload may bring new ones for as long as the process lives. */
const MAX_KNOWN = 50_000;

/** Splits the full name of a statistic into name and tags. Remembered, as every scrape asks for the same names. */
export function tagStatName(full: string): TaggedName {
  let tagged = known.get(full);
  if (tagged === undefined) {
    tagged = extractTags(full);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(full, tagged);
  }
  return tagged;
}

function extractTags(full: string): TaggedName {
  const tags: StatTag[] = [];
  const cuts: [start: number, end: number][] = [];
  for (const { label, pattern } of RULES) {
    const match = pattern.exec(full);
    const cut = match?.indices?.[1];
    const value = match?.[2];
    // Envoy lets the first rule have a part of the name; a later one that overlaps it is not applied.
    if (cut === undefined || value === undefined || cuts.some(([start, end]) => cut[0] < end && start < cut[1]))
      continue;
    cuts.push([cut[0], cut[1]]);
    tags.push({ label, value });
  }
  cuts.sort(([a], [b]) => b - a);
  let name = full;
  for (const [start, end] of cuts) name = name.slice(0, start) + name.slice(end);
  return { name, tags };
}
