import { StatsStore } from '../observe/stats.ts';
import type { ConnectionInfo } from '../observe/stream-info.ts';
import type { Calls } from './calls.ts';
import { type FilterEnv, type Logger, type ProxyFacts, type SharedCount, Slot } from './env.ts';
import { type CallScript, ScriptedCalls } from './harness-calls.ts';
import { issuesText } from './loader-error.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';
import type { Taps } from './taps.ts';

/** One line that a filter logged. */
export interface LoggedLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** The surroundings of a filter under test; what it logs and counts can be read. */
export class TestEnv implements FilterEnv<never> {
  readonly name: string;
  readonly store = new StatsStore();
  readonly stats = this.store.scope('http.test');
  readonly routeConfigs: readonly never[];
  readonly logged: LoggedLine[] = [];
  readonly log: Logger = {
    debug: this.#logger('debug'),
    info: this.#logger('info'),
    warn: this.#logger('warn'),
    error: this.#logger('error'),
  };
  readonly proxy: ProxyFacts = {
    healthy: () => true,
    healthyPercent: () => 100,
    clusterStats: (cluster) => this.store.scope(`cluster.${cluster}`),
    node: { id: 'test', cluster: 'test' },
  };
  readonly calls: Calls;
  /** Nobody attaches. */
  readonly taps: Taps = { open: () => () => undefined };
  readonly #shared = new Map<string, SharedArrayBuffer>();
  #slots = 0;

  constructor(name: string, routeConfigs: readonly unknown[], calls?: CallScript) {
    this.name = name;
    this.calls = new ScriptedCalls(calls);
    this.routeConfigs = routeConfigs as readonly never[];
  }

  slot<T>(): Slot<T> {
    return new Slot<T>(this.#slots++);
  }

  sharedCount(key: string): SharedCount {
    const cell = new Int32Array(this.shared(key, Int32Array.BYTES_PER_ELEMENT));
    return {
      get value() {
        return Atomics.load(cell, 0);
      },
      add: () => Atomics.add(cell, 0, 1),
      remove: () => void Atomics.sub(cell, 0, 1),
    };
  }

  shared(key: string, bytes: number): SharedArrayBuffer {
    let memory = this.#shared.get(key);
    if (memory === undefined) {
      memory = new SharedArrayBuffer(bytes);
      this.#shared.set(key, memory);
    }
    return memory;
  }

  /** The value of a counter by the name that the filter gave it; 0 when it made none. */
  counter(name: string): number {
    return this.store.counters.get(this.stats.prefix + name)?.value ?? 0;
  }

  #logger(level: keyof Logger): (message: string, fields?: Record<string, unknown>) => void {
    return (message, fields = {}) => void this.logged.push({ level, message, fields });
  }
}

/** A configuration as the filter's schema makes it. @throws Error that names every issue. */
export async function validated(schema: StandardSchemaV1 | undefined, value: unknown): Promise<unknown> {
  if (schema === undefined) return value;
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new Error(`the configuration is wrong: ${issuesText(result.issues)}`);
  return result.value;
}

/** The connection of every test stream. */
export function testConnection(remoteAddress = '127.0.0.1'): ConnectionInfo {
  return {
    id: 1,
    remoteAddress,
    remotePort: 40000,
    localAddress: '127.0.0.1',
    localPort: 8080,
    serverName: '',
    tls: undefined,
  };
}
