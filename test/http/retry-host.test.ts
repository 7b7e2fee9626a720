import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { RetryPolicy } from '../../src/config/schema/retry-policy.ts';
import { RetryRules } from '../../src/http/retry.ts';
import { retryHosts } from '../../src/http/retry-host.ts';
import { RetryState } from '../../src/http/retry-state.ts';
import { makeEndpoint } from '../upstream/balancer/support.ts';
import { clusterConfig, makeCluster } from '../upstream/support.ts';

const HOST = 'type.googleapis.com/envoy.extensions.retry.host';
const policy = (fields: object) => v.parse(RetryPolicy, { retry_on: '5xx', ...fields });
const labels = (values: object) => ({ metadata_match: { filter_metadata: { 'envoy.lb': values } } });

/** Whether a policy that omits these labels passes an endpoint with those over. */
function omits(wanted: object, own: Record<string, unknown>): boolean {
  const typed_config = { '@type': `${HOST}.omit_host_metadata.v3.OmitHostMetadataConfig`, ...labels(wanted) };
  const { refuses } = retryHosts(policy({ retry_host_predicate: [{ name: 'x', typed_config }] }));
  return refuses.some((refusesIt) => refusesIt(makeEndpoint(1, { labels: own })));
}

describe('predicates over endpoints', () => {
  it('pass over canaries', () => {
    const { refuses, avoidsPrevious } = retryHosts(
      policy({ retry_host_predicate: [{ name: 'envoy.retry_host_predicates.omit_canary_hosts' }] }),
    );
    expect(avoidsPrevious).toBe(false);
    expect(refuses.map((refusesIt) => refusesIt(makeEndpoint(1, { labels: { canary: true } })))).toEqual([true]);
    expect(refuses.map((refusesIt) => refusesIt(makeEndpoint(1, { labels: { canary: false } })))).toEqual([false]);
    expect(refuses.map((refusesIt) => refusesIt(makeEndpoint(1)))).toEqual([false]);
  });

  it('pass over endpoints that have all the values', () => {
    expect(omits({ a: 1, b: 'x' }, { a: 1, b: 'x', c: true })).toBe(true);
    expect(omits({ a: 1, b: 'x' }, { a: 1 })).toBe(false);
    expect(omits({ a: 1 }, { a: '1' })).toBe(false);
    expect(omits({ a: 1 }, { a: [2, 1] })).toBe(true);
    expect(omits({ a: [1] }, { a: [1] })).toBe(true);
    expect(omits({ a: 1 }, {})).toBe(false);
  });

  it('have a name that is known, or a type', () => {
    expect(() => policy({ retry_host_predicate: [{ name: 'mine' }] })).toThrow('needs typed_config');
  });
});

/** The priorities that the tries of one request go to. */
async function prioritiesOf(frequency: number, tries: number, healths: readonly string[]): Promise<number[]> {
  const { cluster } = makeCluster(
    clusterConfig({
      load_assignment: {
        cluster_name: 'web',
        endpoints: healths.map((health_status, priority) => ({
          priority,
          lb_endpoints: [
            {
              health_status,
              endpoint: { address: { socket_address: { address: `10.0.0.${priority}`, port_value: 80 } } },
            },
          ],
        })),
      },
    }),
  );
  await cluster.start();
  const rules = new RetryRules(
    policy({
      num_retries: tries,
      retry_priority: {
        name: 'x',
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig',
          update_frequency: frequency,
        },
      },
    }),
  );
  const state = new RetryState();
  state.begin(rules);
  return Array.from({ length: tries }, () => state.pick(cluster, undefined)?.priority ?? -1);
}

describe('previous priorities', () => {
  it('are passed over, until all were tried', async () => {
    expect(await prioritiesOf(1, 7, ['HEALTHY', 'HEALTHY', 'HEALTHY'])).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it('are passed over every so many tries', async () => {
    expect(await prioritiesOf(2, 8, ['HEALTHY', 'HEALTHY', 'HEALTHY'])).toEqual([0, 0, 1, 1, 2, 2, 0, 0]);
  });

  it('that have no healthy endpoint are not tried', async () => {
    expect(await prioritiesOf(1, 4, ['HEALTHY', 'UNHEALTHY', 'HEALTHY'])).toEqual([0, 2, 0, 2]);
  });

  it('are forgotten with the request', async () => {
    const { cluster } = makeCluster(clusterConfig({}, ['10.0.0.1:80']));
    await cluster.start();
    const state = new RetryState();
    const rules = new RetryRules(
      policy({ retry_host_predicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }] }),
    );
    for (let request = 0; request < 3; request++) {
      state.begin(rules);
      expect(state.pick(cluster, undefined)?.address).toBe('10.0.0.1:80');
    }
  });
});
