import { FLAG, formatFlags } from '../http/response-flags.ts';
import { StreamRecord } from '../http/stream-record.ts';
import { TestEnv, testConnection, validated } from './harness-env.ts';
import { hooksProblem } from './loader-check.ts';
import type { NetworkFilterDefinition, NetworkFilterHooks, NetworkStream } from './network.ts';
import type { Stop } from './verdict.ts';

/** One connection through a network filter: what each side says, chunk by chunk. */
export interface TestConnection {
  readonly client?: readonly (string | Uint8Array)[];
  readonly app?: readonly (string | Uint8Array)[];
  /** Default 127.0.0.1. */
  readonly remoteAddress?: string;
}

/** What became of one connection. */
export interface NetworkOutcome {
  readonly verdict: 'passed' | 'stopped';
  /** Why it was stopped: `connection_termination_details`. */
  readonly details: string;
  readonly toApp: string;
  readonly toClient: string;
  readonly flags: string;
  readonly errors: readonly unknown[];
  /** Time in each hook that ran, milliseconds. */
  readonly hookMs: Readonly<Record<string, number>>;
  metadata(namespace: string, key: string): unknown;
}

/** Configures a network filter for tests. @throws Error when the configuration does not fit, or `create` throws. */
export async function testNetworkFilter<C>(
  filter: NetworkFilterDefinition<C>,
  options: { readonly config?: unknown } = {},
): Promise<NetworkFilterHarness> {
  const env = new TestEnv(filter.name, []);
  const config = (await validated(filter.config, options.config ?? {})) as C;
  const hooks = filter.create(config, env);
  const problem = hooksProblem(hooks, 'network');
  if (problem !== undefined) throw new Error(`'${filter.name}': ${problem}`);
  return new NetworkFilterHarness(hooks, env, filter.onError ?? 'closed');
}

class TestNetworkStream extends StreamRecord implements NetworkStream {
  readonly request = undefined;
}

/** One configured network filter under test. */
export class NetworkFilterHarness {
  readonly hooks: NetworkFilterHooks;
  /** What it logged and counted. */
  readonly env: TestEnv;
  readonly #onError: 'closed' | 'open';

  constructor(hooks: NetworkFilterHooks, env: TestEnv, onError: 'closed' | 'open') {
    this.hooks = hooks;
    this.env = env;
    this.#onError = onError;
  }

  async connection(test: TestConnection = {}): Promise<NetworkOutcome> {
    const stream = new TestNetworkStream(testConnection(test.remoteAddress));
    const errors: unknown[] = [];
    const hookMs: Record<string, number> = {};
    let stopped: Stop | undefined;
    const call = async (name: string, hook: () => unknown): Promise<unknown> => {
      const start = performance.now();
      try {
        const result = await hook();
        if ((result as Stop | undefined)?.kind === 'stop') stopped = result as Stop;
        return result;
      } catch (error) {
        errors.push(error);
        if (this.#onError === 'closed') stopped = { kind: 'stop', details: 'filter_error' };
        return undefined;
      } finally {
        hookMs[name] = (hookMs[name] ?? 0) + performance.now() - start;
      }
    };
    const pass = async (name: 'onData' | 'onWrite', chunks: readonly (string | Uint8Array)[]): Promise<string> => {
      const passed: Uint8Array[] = [];
      for (const [index, text] of [...chunks, ''].entries()) {
        if (stopped !== undefined) break;
        const chunk = Buffer.from(text as string);
        const end = index === chunks.length;
        const hook = this.hooks[name];
        const result =
          hook === undefined ? undefined : await call(name, () => hook.call(this.hooks, chunk, end, stream));
        if (stopped === undefined) passed.push(Buffer.from(result instanceof Uint8Array ? result : chunk));
      }
      return Buffer.concat(passed).toString();
    };
    if (this.hooks.onConnection !== undefined) await call('onConnection', () => this.hooks.onConnection?.(stream));
    const toApp = await pass('onData', test.client ?? []);
    const toClient = await pass('onWrite', test.app ?? []);
    if (this.hooks.onClose !== undefined) await call('onClose', () => this.hooks.onClose?.(stream));
    if (stopped?.flag !== undefined) stream.addResponseFlag(FLAG[stopped.flag]);
    return {
      verdict: stopped === undefined ? 'passed' : 'stopped',
      details: stopped?.details ?? '',
      toApp,
      toClient,
      flags: formatFlags(stream.responseFlags),
      errors,
      hookMs,
      metadata: (namespace, key) => stream.getMetadata(namespace, key),
    };
  }

  dispose(): void {
    this.hooks.dispose?.();
  }
}
