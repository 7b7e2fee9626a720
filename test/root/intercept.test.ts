import { beforeEach, describe, expect, test } from 'vitest';
import { LAUNCHER } from '../cli/run-cli.ts';
import { type Outcome, type Pod, TestNetwork, whyNoNamespaces } from '../support/netns.ts';

beforeEach((context) => {
  const reason = whyNoNamespaces('iptables-nft', 'iptables-legacy', 'nft');
  if (reason !== undefined) context.skip(reason);
});

const BACKENDS = ['iptables-nft', 'iptables-legacy', 'nft'] as const;
type BackendName = (typeof BACKENDS)[number];

function intercept(pod: Pod, ...args: string[]): Promise<Outcome> {
  return pod.run([LAUNCHER, 'intercept', ...args]);
}

/** All rules of both families, without counters and dates. */
function rules(pod: Pod, backend: BackendName): string {
  if (backend === 'nft') return pod.sh('nft -s list ruleset');
  const text = pod.sh(`${backend}-save; ${backend.replace('ip', 'ip6')}-save`);
  return text.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '[0:0]');
}

describe.each(BACKENDS)('by %s', (backend) => {
  test('installed twice is installed once, and removed is as if it had never been', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    await intercept(pod, 'install', '--backend', backend);
    await intercept(pod, 'remove');
    const before = rules(pod, backend);
    expect(await intercept(pod, 'install', '--backend', backend)).toMatchObject({ code: 0, stderr: '' });
    const once = rules(pod, backend);
    expect(once).toContain('15006');
    expect(await intercept(pod, 'install', '--backend', backend)).toMatchObject({ code: 0, stderr: '' });
    expect(rules(pod, backend)).toBe(once);
    expect(await intercept(pod, 'remove')).toMatchObject({ code: 0, stderr: '' });
    expect(rules(pod, backend)).toBe(before);
    expect(pod.sh('ip -6 addr show dev lo')).not.toContain('::6/128');
  });
});
