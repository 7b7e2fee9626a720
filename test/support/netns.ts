import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';

/**
 * Pods out of network namespaces: each has its own interfaces, addresses and firewall, and a cable to a bridge that lies
 * in a namespace too. Nothing is ever done to the machine's own network.
 *
 *   await using network = TestNetwork.create();
 *   const shop = network.pod('shop');
 *   shop.sh('iptables -t nat -L');
 *   const server = shop.spawn([process.execPath, 'server.ts'], { uid: 1000 });
 *   const { stdout } = await shop.run(['curl', '-s', `http://${other.ipv4}:8080`], { uid: 1337, gid: 1337 });
 */

/** Administrators' programs are not on everybody's path. */
const ENV = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const PREFIX = 'outrigger-test-';
const FOLDER = '/run/netns';

export interface RunOptions {
  /** Whom the command runs as; root unless given. Capabilities are gone for anybody else. */
  readonly uid?: number;
  /** Like `uid` unless given. */
  readonly gid?: number;
  /** Of root: all that is left of its capabilities, as in `['net_admin', 'net_raw']`. */
  readonly capabilities?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  /** The command is killed then; 30 s unless given. */
  readonly timeoutMs?: number;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface NetworkOptions {
  /** Whether pods have IPv6 addresses and a loopback of IPv6; true unless given. */
  readonly ipv6?: boolean;
}

/** Why there can be no namespaces here; undefined when there can: `context.skip(reason)`. */
export function whyNoNamespaces(...programs: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces';
  for (const program of ['ip', 'nsenter', 'setpriv', ...programs]) {
    if (!ENV.PATH.split(':').some((folder) => existsSync(`${folder}/${program}`))) return `needs ${program}`;
  }
  const name = `${PREFIX}${process.pid}-probe`;
  const made = ip('netns', 'add', name).status === 0;
  if (made) ip('netns', 'del', name);
  return made ? undefined : 'needs the permission to make network namespaces';
}

function ip(...args: string[]): { status: number | null; stderr: string } {
  return spawnSync('ip', args, { encoding: 'utf8', env: ENV });
}

function must(...args: string[]): void {
  const { status, stderr } = ip(...args);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

let networks = 0;

/** A bridge with pods on it. Disposing of it ends what runs in them, and deletes them all. */
export class TestNetwork implements AsyncDisposable {
  readonly pods: Pod[] = [];
  readonly #options: NetworkOptions;
  readonly #prefix: string;
  readonly #switch: string;
  readonly #onExit = () => this.#deleteNamespaces();

  private constructor(options: NetworkOptions) {
    this.#options = options;
    this.#prefix = `${PREFIX}${process.pid}-${networks++}-`;
    this.#switch = `${this.#prefix}switch`;
  }

  static create(options: NetworkOptions = {}): TestNetwork {
    deleteLeftovers();
    const network = new TestNetwork(options);
    // A test that is killed leaves nothing either: at its exit, or with the next test that makes a network.
    process.once('exit', network.#onExit);
    must('netns', 'add', network.#switch);
    must('-n', network.#switch, 'link', 'add', 'bridge', 'type', 'bridge', 'forward_delay', '0');
    must('-n', network.#switch, 'link', 'set', 'bridge', 'up');
    return network;
  }

  /** A pod with loopback, `eth0` on the bridge, and a default route out of it. */
  pod(name: string): Pod {
    const number = this.pods.length + 1;
    const pod = new Pod(`${this.#prefix}${name}`, number, this.#options.ipv6 !== false);
    must('netns', 'add', pod.namespace);
    this.pods.push(pod);
    if (!pod.hasIpv6) pod.sh('sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1');
    must('-n', pod.namespace, 'link', 'set', 'lo', 'up');
    const port = `pod${number}`;
    must('-n', this.#switch, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.namespace);
    must('-n', this.#switch, 'link', 'set', port, 'master', 'bridge', 'up');
    must('-n', pod.namespace, 'addr', 'add', `${pod.ipv4}/24`, 'dev', 'eth0');
    // Without duplicate detection the address can be used at once.
    if (pod.hasIpv6) must('-n', pod.namespace, 'addr', 'add', `${pod.ipv6}/64`, 'dev', 'eth0', 'nodad');
    must('-n', pod.namespace, 'link', 'set', 'eth0', 'up');
    must('-n', pod.namespace, 'route', 'add', 'default', 'via', '10.77.0.254');
    if (pod.hasIpv6) must('-n', pod.namespace, '-6', 'route', 'add', 'default', 'via', 'fd77::fe', 'dev', 'eth0');
    return pod;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    process.off('exit', this.#onExit);
    await Promise.all(this.pods.map((pod) => pod.stop()));
    this.#deleteNamespaces();
  }

  #deleteNamespaces(): void {
    for (const pod of this.pods) {
      pod.kill();
      ip('netns', 'del', pod.namespace);
    }
    ip('netns', 'del', this.#switch);
  }
}

export class Pod {
  readonly namespace: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly hasIpv6: boolean;
  readonly #running = new Set<ChildProcessWithoutNullStreams>();

  constructor(namespace: string, number: number, hasIpv6: boolean) {
    this.namespace = namespace;
    this.ipv4 = `10.77.0.${number}`;
    this.ipv6 = `fd77::${number.toString(16)}`;
    this.hasIpv6 = hasIpv6;
  }

  /** The command line that runs a command in here. The process that starts becomes the command. */
  enter(command: readonly string[], { uid, gid = uid, capabilities }: RunOptions = {}): string[] {
    const line = ['nsenter', `--net=${FOLDER}/${this.namespace}`];
    if (uid !== undefined || gid !== undefined) {
      line.push('setpriv', '--clear-groups');
      if (gid !== undefined) line.push(`--regid=${gid}`);
      if (uid !== undefined) line.push(`--reuid=${uid}`);
    }
    if (capabilities !== undefined) {
      const left = ['-all', ...capabilities.map((name) => `+${name}`)].join(',');
      line.push('setpriv', `--bounding-set=${left}`, `--inh-caps=${left}`);
    }
    return [...line, ...command];
  }

  /** Starts what goes on; it is killed when the network is disposed of. */
  spawn(command: readonly string[], options: RunOptions = {}): ChildProcessWithoutNullStreams {
    const [file = '', ...args] = this.enter(command, options);
    const child = spawn(file, args, { env: { ...ENV, ...options.env }, cwd: options.cwd });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  /** Runs a command to its end. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const child = this.spawn(command, options);
    const limit = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 30_000);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    // Who ends without reading its input is no fault of the test's.
    child.stdin.on('error', () => undefined).end(options.input);
    try {
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stdout, stderr };
    } finally {
      clearTimeout(limit);
    }
  }

  /** Runs a line of shell as root, and gives what it printed; an Error with its complaint when it fails. */
  sh(script: string): string {
    const [file = '', ...args] = this.enter(['sh', '-ec', script]);
    return execFileSync(file, args, { env: ENV, encoding: 'utf8', stdio: 'pipe', timeout: 30_000 });
  }

  /** Kills what was started here and still runs. */
  kill(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.kill();
    const limit = AbortSignal.timeout(5000);
    while (this.#running.size > 0 && !limit.aborted) await after(5);
  }
}

/** Deletes namespaces of test processes that are gone. */
function deleteLeftovers(): void {
  if (!existsSync(FOLDER)) return;
  for (const name of readdirSync(FOLDER)) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) ip('netns', 'del', name);
  }
}
