import type { Cluster as ClusterConfig } from '../config/schema/cluster.ts';
import { parseIp } from '../network/ip.ts';
import type { Counter } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { Endpoint, type EndpointAddress, type EndpointTraits } from './endpoint.ts';

/** What tells where a request or connection is to go. */
export type Errand = Pick<StreamInfo, 'connection' | 'request'>;

/** What an ORIGINAL_DST cluster needs around its endpoints. */
export interface OriginalDestinationsEnv {
  /** Counts addresses in headers that are none. */
  readonly invalidHosts: Counter;
  /** Called with each endpoint that was made, before it is used. */
  readonly onJoin: (endpoint: Endpoint) => void;
  /** Called with endpoints that nobody uses any more. */
  readonly onLeave: (endpoints: readonly Endpoint[]) => void;
}

/** Envoy's default of `original_dst_lb_config.http_header_name`. */
const DEFAULT_HEADER = 'x-envoy-original-dst-host';
/** Beyond so many, those that nobody uses leave at once: clients could name all addresses there are. */
const MAX_ENDPOINTS = 4096;

interface Entry {
  readonly endpoint: Endpoint;
  /** Since the last sweep. */
  used: boolean;
}

const TRAITS: EndpointTraits = {
  hostname: '',
  hashKey: '',
  weight: 1,
  priority: 0,
  health: 'healthy',
  locality: { region: '', zone: '', subZone: '', weight: 0 },
};

/**
 * The endpoints of an ORIGINAL_DST cluster: each connection goes where its client wanted to go (or where a header says,
 * if that is allowed), and addresses become endpoints when they are asked for. One that was not used during a whole
 * `cleanup_interval` is forgotten.
 */
export class OriginalDestinations {
  private readonly env: OriginalDestinationsEnv;
  /** In lower case; undefined where headers are not asked. */
  private readonly header: string | undefined;
  private readonly port: number | undefined;
  private readonly intervalMs: number;
  private readonly byAddress = new Map<string, Entry>();
  private list: readonly Endpoint[] | undefined = undefined;
  private sweepAt = MAX_ENDPOINTS;
  private sweeper: NodeJS.Timeout | undefined = undefined;
  private stopped = false;

  constructor(config: ClusterConfig, env: OriginalDestinationsEnv) {
    const options = config.original_dst_lb_config;
    this.env = env;
    this.header = options?.use_http_header === true ? options.http_header_name || DEFAULT_HEADER : undefined;
    this.port = options?.upstream_port_override;
    this.intervalMs = config.cleanup_interval;
  }

  /** All endpoints. A new array after each change. */
  get endpoints(): readonly Endpoint[] {
    this.list ??= Array.from(this.byAddress.values(), ({ endpoint }) => endpoint);
    return this.list;
  }

  /** The endpoint that the client wanted to reach; undefined where nobody knows which one that is. */
  pick(errand: Errand | undefined): Endpoint | undefined {
    if (errand === undefined) return undefined;
    const { connection } = errand;
    const named = this.header === undefined ? undefined : this.namedBy(errand, this.header);
    if (named !== undefined) return this.endpointAt(named.host, this.port ?? named.port);
    if (connection.isRestored !== true) return undefined;
    return this.endpointAt(connection.localAddress, this.port ?? connection.localPort);
  }

  private namedBy({ request }: Errand, header: string): { host: string; port: number } | undefined {
    const value = request?.get(header);
    if (value === undefined) return undefined;
    const named = parseHostPort(value);
    if (named === undefined) this.env.invalidHosts.inc();
    return named;
  }

  private endpointAt(host: string, port: number): Endpoint {
    const key = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const known = this.byAddress.get(key);
    if (known !== undefined) {
      known.used = true;
      return known.endpoint;
    }
    if (this.byAddress.size >= this.sweepAt) this.makeRoom();
    const address: EndpointAddress = { host, port, pipe: undefined };
    const endpoint = new Endpoint(address, TRAITS);
    this.byAddress.set(key, { endpoint, used: true });
    this.list = undefined;
    this.env.onJoin(endpoint);
    if (!this.stopped) this.sweeper ??= setInterval(() => this.sweepUnused(), this.intervalMs).unref();
    return endpoint;
  }

  /** Looks through all of them only when they have doubled since the last time. */
  private makeRoom(): void {
    this.sweep(({ endpoint }) => isBusy(endpoint));
    this.sweepAt = Math.max(MAX_ENDPOINTS, 2 * this.byAddress.size);
  }

  private sweepUnused(): void {
    this.sweep((entry) => {
      const keeps = entry.used || isBusy(entry.endpoint);
      entry.used = false;
      return keeps;
    });
    if (this.byAddress.size > 0) return;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }

  private sweep(keeps: (entry: Entry) => boolean): void {
    const leaving: Endpoint[] = [];
    for (const [key, entry] of this.byAddress) {
      if (keeps(entry)) continue;
      this.byAddress.delete(key);
      leaving.push(entry.endpoint);
    }
    if (leaving.length === 0) return;
    this.list = undefined;
    this.env.onLeave(leaving);
  }

  /** Forgets nothing from here on: what is still under way goes to its end. */
  stop(): void {
    this.stopped = true;
    clearInterval(this.sweeper);
    this.sweeper = undefined;
  }
}

function isBusy(endpoint: Endpoint): boolean {
  return endpoint.activeRequests > 0;
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
function parseHostPort(text: string): { host: string; port: number } | undefined {
  const [, ipv6, ipv4, digits = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? ipv4 ?? '';
  const port = Number(digits);
  if (parseIp(host) === undefined || (ipv6 !== undefined && !ipv6.includes(':')) || port < 1 || port > 65535)
    return undefined;
  return { host: host.toLowerCase(), port };
}
