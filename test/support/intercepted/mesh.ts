import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../../cli/run-cli.ts';
import { TestNetwork } from '../netns.ts';
import { type InterceptedOptions, InterceptedPod } from './pod.ts';
import { PORTS } from './protocol.ts';

/** A mesh of the trust domain shop.test: its authority, its pods, and what they leave behind. */
export class TestMesh implements AsyncDisposable {
  readonly network: TestNetwork;
  readonly folder: string;

  private constructor(network: TestNetwork, folder: string) {
    this.network = network;
    this.folder = folder;
  }

  static async create(): Promise<TestMesh> {
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-mesh-'));
    chmodSync(folder, 0o755);
    await must('certs', 'ca', '--trust-domain', 'shop.test', '--out', join(folder, 'ca'));
    return new TestMesh(TestNetwork.create(), folder);
  }

  /** A pod with an identity of its own, an app and a proxy. */
  async pod(name: string, options: Omit<InterceptedOptions, 'identity' | 'folder'>): Promise<InterceptedPod> {
    const identity = join(this.folder, name);
    const id = `spiffe://shop.test/${name}`;
    await must('certs', 'svid', '--ca', join(this.folder, 'ca'), '--spiffe-id', id, '--out', identity);
    const folder = join(this.folder, `run-${name}`);
    return InterceptedPod.start(this.network.pod(name), { ...options, identity, folder });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function must(...args: string[]): Promise<void> {
  const { code, stderr } = await runCli(args);
  if (code !== 0) throw new Error(`outrigger ${args.join(' ')}: ${stderr}`);
}

/** What of the sidecar file most tests have: HTTP and gRPC at their ports, bytes at all others. */
export function meshConfig(mtls: 'strict' | 'permissive', inbound = ''): string {
  const ports = `ports: { ${PORTS.http}: { protocol: http }, ${PORTS.grpc}: { protocol: grpc } }`;
  return `
  inbound:
    mtls: ${mtls}
    ${ports}
    ${inbound}
  outbound:
    mesh: [10.77.0.0/24, "fd77::/64"]
    ${ports}
`;
}

/** Ports that no rule intercepts. */
export const EXCLUDED = [
  '--exclude-outbound-ports',
  `${PORTS.excluded}`,
  '--exclude-inbound-ports',
  `${PORTS.excluded},15090`,
  '--exclude-outbound-ranges',
  '10.77.0.250/32',
];
