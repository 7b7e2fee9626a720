import { expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../support/envoy.ts';
import { EXCLUDED, meshConfig, TestMesh } from '../support/intercepted/mesh.ts';
import { InterceptedPod } from '../support/intercepted/pod.ts';
import { PORTS } from '../support/intercepted/protocol.ts';
import { whyNoNamespaces } from '../support/netns.ts';

/** The same sidecar file before the same app, in Outrigger and, expanded, in the real Envoy: who comes in, and to what? */

type Verdicts = Record<string, unknown>;

const HALF_CLOSED = `guest tcp 10.77.0.2:${PORTS.tcp}`;

/** How a connection ends that is not wanted differs from run to run. */
function verdictOf(result: unknown): unknown {
  if (result === '' || result === 'error ECONNRESET' || (Array.isArray(result) && result.length === 0))
    return 'refused';
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return result;
  const { status, error, text } = result as { status?: number; error?: string; text?: string };
  if (error !== undefined) return 'refused';
  if (status !== 200) return { status };
  const { remoteAddress: from, localAddress: to, headers } = JSON.parse(text ?? '{}');
  // Each mesh has certificates of its own.
  return { status, from, to, client: headers['x-forwarded-client-cert']?.replace(/Hash=[0-9a-f]+/, 'Hash=') };
}

async function verdicts(mtls: 'strict' | 'permissive', inEnvoy: boolean): Promise<Verdicts> {
  await using mesh = await TestMesh.create();
  const client = await mesh.pod('client', { config: meshConfig('strict'), installFlags: EXCLUDED, withoutApp: true });
  const config = meshConfig(mtls, 'plain_ports: [9025]');
  const server = await mesh.pod('server', { config, installFlags: EXCLUDED, inEnvoy });
  const guest = await InterceptedPod.bare(mesh.network.pod('guest'));
  const { ipv4, ipv6 } = server.pod;
  const calls: readonly [who: string, pod: InterceptedPod, what: string, host: string, port: number][] = [
    ['member', client, 'http', ipv4, PORTS.http],
    ['member', client, 'http', ipv6, PORTS.http],
    ['member', client, 'grpc', ipv4, PORTS.grpc],
    ['member', client, 'websocket', ipv4, PORTS.http],
    ['member', client, 'tcp', ipv4, PORTS.tcp],
    ['member', client, 'tcp', ipv6, PORTS.tcp],
    ['member', client, 'server-first', ipv4, PORTS.serverFirst],
    ['member', client, 'tcp', ipv4, 4444],
    ['guest', guest, 'http', ipv4, PORTS.http],
    ['guest', guest, 'http', ipv6, PORTS.http],
    ['guest', guest, 'tcp', ipv4, PORTS.tcp],
    ['guest', guest, 'server-first', ipv4, PORTS.serverFirst],
    ['guest', guest, 'tcp', ipv4, PORTS.excluded],
    ['guest', guest, 'tcp', ipv4, 15001],
    ['guest', guest, 'tcp', ipv4, 15006],
    ['guest', guest, 'tcp', ipv6, 15006],
    ['itself', server, 'tcp', ipv4, PORTS.tcp],
    ['itself', server, 'tcp', '127.0.0.1', 15006],
    ['itself', server, 'tcp', '127.0.0.1', 15001],
    ['itself', server, 'http', guest.pod.ipv4, PORTS.http],
  ];
  const found: Record<string, unknown> = {};
  for (const [who, pod, what, host, port] of calls)
    found[`${who} ${what} ${host}:${port}`] = verdictOf(await pod.call(what, host, port));
  return found;
}

test.for(['strict', 'permissive'] as const)(
  'with %s, Envoy lets in whom Outrigger lets in, and apps hear the same',
  { timeout: 400_000 },
  async (mtls, context) => {
    const lacking = whyNoNamespaces('iptables-nft', 'curl') ?? (findEnvoy() === undefined ? NO_ENVOY : undefined);
    if (lacking !== undefined) return context.skip(lacking);
    const envoys = await verdicts(mtls, true);
    const ours = await verdicts(mtls, false);
    if (mtls === 'permissive') {
      // Envoy closes a connection whose client half-closes before its first bytes were looked at, if that comes so fast.
      expect(ours[HALF_CLOSED]).toBe('hello');
      envoys[HALF_CLOSED] = 'hello';
    }
    expect(ours).toEqual(envoys);
    // Both could be wrong.
    expect(Object.values(envoys).filter((verdict) => verdict === 'refused')).not.toHaveLength(0);
    expect(envoys['member tcp 10.77.0.2:9000']).toBe('hello');
  },
);
