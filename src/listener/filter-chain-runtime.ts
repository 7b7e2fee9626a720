import { HTTP_CONNECTION_MANAGER, TCP_PROXY } from '../config/extensions.ts';
import type { HttpConnectionManager } from '../config/schema/http-connection-manager.ts';
import type { FilterChain, NetworkFilter } from '../config/schema/listener.ts';
import type { TcpProxy as TcpProxyConfig } from '../config/schema/tcp-proxy.ts';
import { checkModuleConfig, filterEnv, isModule, loadModule } from '../filter/configured-filter.ts';
import type { AnyNetworkFilter, FilterRegistry } from '../filter/registry.ts';
import type { ConnectionManager } from '../http/connection-manager.ts';
import type { Connection } from '../network/connection.ts';
import type { ConnectionRecord } from '../network/connection-record.ts';
import { type ConfiguredNetworkFilter, NetworkFilterChain, unwrap } from '../network/network-filter-chain.ts';
import type { TcpProxy } from '../network/tcp-proxy.ts';
import type { StatsScope } from '../observe/stats.ts';
import type { Runtime } from '../runtime.ts';

/** What a filter chain needs of its listener. */
export interface ChainContext {
  readonly runtime: Runtime;
  readonly registry: FilterRegistry;
  readonly listenerName: string;
  readonly stats: StatsScope;
  readonly bufferLimitBytes: number;
}

type Terminal = ConnectionManager | TcpProxy;

/** One filter chain of a listener, ready to serve: network filters, then the connection manager or the TCP proxy. */
export class FilterChainRuntime {
  readonly name: string;
  readonly filterNames: readonly string[];
  private readonly network: NetworkFilterChain;
  private readonly terminal: Terminal;
  private readonly records: Map<Connection, ConnectionRecord>;

  constructor(
    config: FilterChain,
    context: ChainContext,
    filters: readonly ConfiguredNetworkFilter[],
    terminal: Terminal,
    records: Map<Connection, ConnectionRecord>,
  ) {
    this.name = config.name;
    this.terminal = terminal;
    this.records = records;
    const terminalName = config.filters.at(-1)?.name ?? '';
    const httpNames = terminal.kind === 'http' ? terminal.filterNames : [];
    this.filterNames = [...filters.map((filter) => filter.name), terminalName, ...httpNames];
    const { runtime, listenerName } = context;
    const log = runtime.log.component('listener');
    this.network = new NetworkFilterChain(
      filters,
      (connection, record) => this.serveTerminal(connection, record),
      (record, filter) => runtime.denials.record(record, listenerName, filter),
      (filter, error) => log.error(`network filter ${filter} failed`, { error: String(error) }),
    );
  }

  /** @throws what loading modules, creating filters, compiling routes or opening logs throws */
  static async create(config: FilterChain, context: ChainContext): Promise<FilterChainRuntime> {
    const filters: ConfiguredNetworkFilter[] = [];
    for (const filter of config.filters.slice(0, -1)) filters.push(await createNetworkFilter(filter, context));
    const records = new Map<Connection, ConnectionRecord>();
    const chain: { runtime: FilterChainRuntime | undefined } = { runtime: undefined };
    const onClose = (connection: Connection): void => chain.runtime?.onClosed(connection);
    const terminal = await createTerminal(config.filters.at(-1) as NetworkFilter, context, onClose);
    chain.runtime = new FilterChainRuntime(config, context, filters, terminal, records);
    return chain.runtime;
  }

  get kind(): 'http' | 'tcp' {
    return this.terminal.kind;
  }

  get activeConnections(): number {
    return this.records.size;
  }

  serve(connection: Connection, record: ConnectionRecord): void {
    this.records.set(connection, record);
    connection.handler = { onData() {}, onEnd() {}, onDrain() {}, onClose: () => this.onClosed(connection) };
    this.network.serve(connection, record);
  }

  private serveTerminal(connection: Connection, record: ConnectionRecord): void {
    if (this.terminal.kind === 'tcp') this.terminal.serve(connection, record);
    else this.terminal.serve(connection, record.connection);
  }

  private onClosed(connection: Connection): void {
    const inner = unwrap(connection);
    const record = this.records.get(inner);
    if (record === undefined) return;
    this.records.delete(inner);
    this.network.closed(record);
  }

  watchFilters(): Promise<void> {
    return this.terminal.kind === 'http' ? this.terminal.watchFilters() : Promise.resolve();
  }

  /** No new requests; TCP sessions go on until `closeConnections`. */
  drain(): void {
    if (this.terminal.kind === 'http') this.terminal.drain();
  }

  closeConnections(): void {
    this.terminal.closeConnections();
    for (const connection of [...this.records.keys()]) connection.destroy();
  }

  dispose(): void {
    this.terminal.dispose();
    for (const filter of this.network.filters) filter.hooks.dispose?.();
  }
}

/** Loads the terminal's code on first use: a proxy that only does TCP never loads HTTP. */
async function createTerminal(
  filter: NetworkFilter,
  context: ChainContext,
  onClose: (connection: Connection) => void,
): Promise<Terminal> {
  const { runtime, registry, listenerName, bufferLimitBytes } = context;
  const { type, value } = filter.typed_config;
  switch (type) {
    case TCP_PROXY: {
      const { TcpProxy } = await import('../network/tcp-proxy.ts');
      return new TcpProxy(value as TcpProxyConfig, runtime, onClose);
    }
    case HTTP_CONNECTION_MANAGER: {
      const { ConnectionManager } = await import('../http/connection-manager.ts');
      return ConnectionManager.create({
        config: value as HttpConnectionManager,
        definitions: registry.http,
        runtime,
        listenerName,
        bufferLimitBytes,
        onClose,
      });
    }
    default:
      throw new Error(`${type} cannot end a filter chain`);
  }
}

async function createNetworkFilter(filter: NetworkFilter, context: ChainContext): Promise<ConfiguredNetworkFilter> {
  const { name, typed_config: typed } = filter;
  let definition: AnyNetworkFilter | undefined;
  let config: unknown = typed.value;
  if (isModule(typed, 'network')) {
    definition = (await loadModule(typed, 'network', context.runtime)).definition as AnyNetworkFilter;
    config = await checkModuleConfig(name, definition.config, typed.value.config);
  } else {
    definition = context.registry.network.get(typed.type);
  }
  if (definition === undefined) throw new Error(`no network filter for ${typed.type}`);
  const env = filterEnv<never>(name, context.runtime, context.stats, [], noSlots);
  return { name, definition, hooks: definition.create(config, env), timeoutMs: definition.timeoutMs ?? 5000 };
}

function noSlots(): number {
  throw new Error('slots belong to HTTP streams; a network filter keeps its state in a WeakMap by stream');
}
