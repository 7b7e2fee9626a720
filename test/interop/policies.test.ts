import { describe, expect, it } from 'vitest';
import { toYaml } from '../../src/config/expand.ts';
import type { Start } from '../policies/scenario.ts';
import { SCENARIOS } from '../policies/scenarios.ts';
import { envoyRejection, findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { ProxyProcess } from '../support/proxy-process.ts';

const envoy = findEnvoy();

/** The same configuration, first judged and then run. */
const start: Start = async (bootstrap) => {
  const text = toYaml(bootstrap);
  expect(envoyRejection(envoy!, text)).toBeUndefined();
  const proxy = await ProxyProcess.start('envoy', text);
  return { port: proxy.port, flush: async () => {}, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
};

describe('policies act in Envoy as they do here', () => {
  it.for(SCENARIOS)('$kind $name', { timeout: 60_000 }, async ({ act }, context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    await act(start);
  });
});
