import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LAUNCHER } from '../../cli/run-cli.ts';
import { findEnvoy } from '../envoy.ts';
import type { Pod } from '../netns.ts';

const NODE = join(LAUNCHER, '..', 'node');
const APP = join(import.meta.dirname, 'app.ts');
const CLIENT = join(import.meta.dirname, 'client.ts');
/** The users that an injector gives to proxy and app. */
export const PROXY = { uid: 1337, gid: 1337 };
export const APP_USER = { uid: 1000, gid: 1000 };
const START_LIMIT_MS = 90_000;

/** One line per connection or request in `access.log`. */
export const LOG_FORMAT =
  '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %RESPONSE_FLAGS% %CONNECTION_TERMINATION_DETAILS% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_PEER_URI_SAN%\n';

export interface InterceptedOptions {
  /** The sidecar file from `intercept:` on, without admin, identity and access log. */
  readonly config: string;
  readonly installFlags?: readonly string[];
  readonly runFlags?: readonly string[];
  /** Names and keys of the pod, as `outrigger certs svid` writes them. */
  readonly identity: string;
  readonly folder: string;
  /** Runs the same configuration in the real Envoy. */
  readonly inEnvoy?: boolean;
  readonly withoutApp?: boolean;
  /** As root in the proxy's group: TPROXY needs CAP_NET_ADMIN. */
  readonly asRoot?: boolean;
}

/** A pod whose connections go through a proxy that its app knows nothing of. */
export class InterceptedPod {
  readonly pod: Pod;
  readonly folder: string;
  /** Process of the proxy. */
  pid = 0;

  private constructor(pod: Pod, folder: string) {
    this.pod = pod;
    this.folder = folder;
  }

  static async start(pod: Pod, options: InterceptedOptions): Promise<InterceptedPod> {
    const { folder } = options;
    mkdirSync(folder, { recursive: true });
    for (const file of ['svid.pem', 'svid-key.pem', 'bundle.pem']) {
      cpSync(join(options.identity, file), join(folder, file));
      chownSync(join(folder, file), PROXY.uid, PROXY.gid);
    }
    chownSync(folder, PROXY.uid, PROXY.gid);
    const intercepted = new InterceptedPod(pod, folder);
    const flags = options.installFlags ?? [];
    const installed = await pod.run([LAUNCHER, 'intercept', 'install', ...flags], {
      capabilities: ['net_admin', 'net_raw'],
    });
    if (installed.code !== 0) throw new Error(`intercept install: ${installed.stderr}`);
    if (options.withoutApp !== true) await intercepted.startApp();
    await intercepted.startProxy(options);
    return intercepted;
  }

  /** A pod with the app alone. */
  static async bare(pod: Pod): Promise<InterceptedPod> {
    const bare = new InterceptedPod(pod, '');
    await bare.startApp();
    return bare;
  }

  private async startApp(): Promise<void> {
    const app = this.pod.spawn([NODE, APP], APP_USER);
    let said = '';
    for (const stream of [app.stdout, app.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    await until(
      () => said.includes('ready'),
      () => `the app did not start: ${said}`,
    );
  }

  private async startProxy({ config, runFlags = [], inEnvoy, asRoot }: InterceptedOptions): Promise<void> {
    const { folder } = this;
    const file = join(folder, 'sidecar.yaml');
    const identity = { certificate: 'svid.pem', key: 'svid-key.pem', authority: 'bundle.pem' };
    const paths = Object.entries(identity).map(([name, value]) => `${name}: ${join(folder, value)}`);
    writeFileSync(
      file,
      `admin: 127.0.0.1:15000
intercept:
  identity: { ${paths.join(', ')}, trust_domain: shop.test }
  # The machine may be busy.
  connect_timeout: 60s
  access_log: { to: ${join(folder, 'access.log')}, format: ${JSON.stringify(LOG_FORMAT)} }
${config}`,
    );
    const user = asRoot === true ? { gid: PROXY.gid } : PROXY;
    const command = inEnvoy === true ? await this.envoyCommand(file) : [LAUNCHER, 'run', '-c', file, ...runFlags];
    const proxy = this.pod.spawn(command, user);
    this.pid = proxy.pid ?? 0;
    let hasEnded = false;
    proxy.once('close', () => {
      hasEnded = true;
    });
    let said = '';
    for (const stream of [proxy.stdout, proxy.stderr])
      stream.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-5000);
      });
    await until(
      () => {
        if (hasEnded) throw new Error(`the proxy ended: ${said}`);
        return this.isReady();
      },
      () => `the proxy did not start: ${said}`,
    );
  }

  private async envoyCommand(file: string): Promise<string[]> {
    const expanded = join(this.folder, 'envoy.yaml');
    const { stdout, stderr, code } = await this.pod.run([LAUNCHER, 'expand', file]);
    if (code !== 0) throw new Error(stderr);
    writeFileSync(expanded, stdout);
    const id = String(Math.floor(Math.random() * 30_000) + 1000);
    return [findEnvoy() ?? '', '-c', expanded, '--base-id', id, '--concurrency', '1', '-l', 'error'];
  }

  private async isReady(): Promise<boolean> {
    return (await this.admin('/ready')).includes('LIVE');
  }

  /** What the admin server answers. */
  async admin(path: string): Promise<string> {
    const { stdout } = await this.pod.run(['curl', '-s', '-m', '10', `http://127.0.0.1:15000${path}`], PROXY);
    return stdout;
  }

  /** A statistic's value; 0 where there is none. */
  async stat(name: string): Promise<number> {
    const line = (await this.admin('/stats')).split('\n').find((one) => one.startsWith(`${name}: `));
    return line === undefined ? 0 : Number(line.substring(name.length + 2));
  }

  /** A call by the app of this pod. */
  async call(what: string, host: string, port: number, count = 1): Promise<unknown> {
    const command = [NODE, CLIENT, what, host, String(port), String(count)];
    const { stdout, stderr } = await this.pod.run(command, { ...APP_USER, timeoutMs: 120_000 });
    if (stdout === '') throw new Error(`${what} ${host}:${port}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** Lines of the access log that are out by now. */
  logLines(): string[] {
    const file = join(this.folder, 'access.log');
    return existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .filter((line) => line !== '')
      : [];
  }

  /** Descriptors that the proxy holds. */
  descriptors(): number {
    return Number(this.pod.sh(`ls /proc/${this.pid}/fd | wc -l`));
  }

  /** Connections that the kernel tracks in this pod. */
  tracked(): number {
    return Number(this.pod.sh('cat /proc/sys/net/netfilter/nf_conntrack_count'));
  }
}

async function until(isSo: () => boolean | Promise<boolean>, complaint: () => string): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(complaint());
    await sleep(50);
  }
}
