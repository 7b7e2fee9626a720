import { describe, expect, it } from 'vitest';
import { POLICY_KINDS } from '../../policies/index.ts';
import { ConfigError } from '../../src/config/errors.ts';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { startTestProxy } from '../support/proxy.ts';
import { type Running, SCENARIOS, type Start } from './scenarios.ts';

// What the real Envoy makes of the same scenarios is tested in test/interop/policies.test.ts.

const start: Start = async (bootstrap): Promise<Running> => {
  const proxy = await startTestProxy(JSON.stringify(bootstrap));
  return { port: proxy.port, flush: flushAll, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
};

/** What the proxy does not know of a configuration, if that is all that is wrong with it. */
function notThere(error: unknown): string | undefined {
  if (!(error instanceof ConfigError)) return undefined;
  const unknown = error.problems.filter(({ message }) => /not known here|not supported|not available/.test(message));
  return unknown.length === error.problems.length ? unknown[0]?.message : undefined;
}

describe.each(POLICY_KINDS.map(({ kind }) => kind))('%s', (kind) => {
  const scenarios = SCENARIOS.filter((one) => one.kind === kind);

  it('has a scenario', () => expect(scenarios).not.toEqual([]));

  it.for(scenarios)('$name', async ({ act }, context) => {
    try {
      await act(start);
    } catch (error) {
      const missing = notThere(error);
      if (missing === undefined) throw error;
      context.skip(`needs what the proxy does not have: ${missing}`);
    }
  });
});
