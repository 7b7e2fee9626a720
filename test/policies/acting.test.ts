import { describe, expect, it } from 'vitest';
import { POLICY_KINDS } from '../../policies/index.ts';
import { flushAll } from '../../src/observe/access-log/index.ts';
import { startTestProxy } from '../support/proxy.ts';
import type { Running, Start } from './scenario.ts';
import { SCENARIOS } from './scenarios.ts';

// What the real Envoy makes of the same scenarios is tested in test/interop/policies.test.ts.

const start: Start = async (bootstrap): Promise<Running> => {
  const proxy = await startTestProxy(JSON.stringify(bootstrap));
  return { port: proxy.port, flush: flushAll, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
};

describe.each(POLICY_KINDS.map(({ kind }) => kind))('%s', (kind) => {
  const scenarios = SCENARIOS.filter((one) => one.kind === kind);

  it('has a scenario', () => expect(scenarios).not.toEqual([]));

  it.for(scenarios)('$name', { timeout: 60_000 }, ({ act }) => act(start));
});
