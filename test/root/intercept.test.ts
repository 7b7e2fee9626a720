import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LAUNCHER } from '../cli/run-cli.ts';
import { type Outcome, type Pod, type RunOptions, TestNetwork, whyNoNamespaces } from '../support/netns.ts';

// Many processes, one after the other, on machines with much else to do.
vi.setConfig({ testTimeout: 60_000 });

beforeEach((context) => {
  const reason = whyNoNamespaces('iptables-nft', 'iptables-legacy', 'nft');
  if (reason !== undefined) context.skip(reason);
});

const BACKENDS = ['iptables-nft', 'iptables-legacy', 'nft'] as const;
type BackendName = (typeof BACKENDS)[number];
const DONE = { code: 0, stderr: '' };

function intercept(pod: Pod, args: readonly string[], options?: RunOptions): Promise<Outcome> {
  return pod.run([LAUNCHER, 'intercept', ...args], options);
}

/** All rules of both families, without counters and dates, and the routing that goes with them. */
function state(pod: Pod, backend: BackendName): string {
  const routes = pod.sh(
    'ip rule; ip -6 rule; ip route show table 133 2>/dev/null || true; ip -6 route show table 133 2>/dev/null || true; ip -6 addr show dev lo',
  );
  if (backend === 'nft') return pod.sh('nft -s list ruleset') + routes;
  const text = pod.sh(`${backend}-save; ${backend.replace('ip', 'ip6')}-save`);
  const tables = text
    .replace(/^#.*\n/gm, '')
    .replace(/\[\d+:\d+\]/g, '[0:0]')
    .split(/(?<=^COMMIT\n)/m);
  // Tables come to be when iptables is first asked for them: an empty one is none.
  return tables.filter((table) => /^-A|^:\S+ -/m.test(table)).join('') + routes;
}

describe.each(BACKENDS)('by %s', (backend) => {
  test.each(['redirect', 'tproxy'])(
    '%s installed twice is installed once, and removed is as if it had never been',
    async (mode) => {
      await using network = TestNetwork.create();
      const pod = network.pod('app');
      const before = state(pod, backend);
      const install = ['install', '--backend', backend, '--mode', mode];
      expect(await intercept(pod, install)).toMatchObject(DONE);
      const once = state(pod, backend);
      expect(once).toContain('15006');
      expect(once.includes('lookup 133')).toBe(mode === 'tproxy');
      expect(await intercept(pod, install)).toMatchObject(DONE);
      expect(state(pod, backend)).toBe(once);
      expect(await intercept(pod, ['remove'])).toMatchObject(DONE);
      expect(state(pod, backend)).toBe(before);
      expect(await intercept(pod, ['remove'])).toMatchObject({ ...DONE, stdout: 'there was nothing to remove\n' });
    },
  );

  test('what it says it would do is what it does, and the rules that the kernel has are read back as they were meant', async () => {
    await using network = TestNetwork.create();
    const [a, b] = [network.pod('a'), network.pod('b')];
    const options = [
      '--mode',
      'tproxy',
      '-o',
      '3306',
      '-x',
      '10.0.0.0/8,fd00::/8',
      '-c',
      'net+',
      '-k',
      'vm0',
      '-q',
      '99',
    ];
    const { stdout, code } = await intercept(a, ['install', '--backend', backend, ...options, '--dry-run']);
    expect(code).toBe(0);
    const plan = stdout.split(/^# /m).slice(1);
    for (const part of plan) {
      const [command = '', ...input] = part.split('\n');
      expect(await b.run(command.split(' '), { input: `${input.join('\n')}\n` })).toMatchObject(DONE);
    }
    expect(await intercept(a, ['install', '--backend', backend, ...options])).toMatchObject(DONE);
    expect(state(b, backend)).toBe(state(a, backend));
    const shown = JSON.parse((await intercept(a, ['show', '--json'])).stdout);
    expect(shown).toMatchObject({ installed: [{ backend, mode: 'tproxy', families: [4, 6] }], problems: [] });
    const unknown = shown.installed[0].rules.filter((rule: { meaning: string }) => rule.meaning === '');
    expect(unknown).toEqual([]);
  });

  test('check tells which rule takes what, and finds rules that do not', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const options = ['-o', '3306', '-d', '7070', '-x', '198.51.100.0/24'];
    await intercept(pod, ['install', '--backend', backend, ...options]);
    const good = await intercept(pod, ['check', ...options]);
    expect(good).toMatchObject(DONE);
    expect(good.stdout).toMatch(
      /^ok {4}the app calls another: 192\.0\.2\.1:80 +to the proxy, outbound +ISTIO_OUTPUT: /m,
    );
    expect(good.stdout).toMatch(/^ok {4}the proxy calls its own pod: \[fd77::1\]:\d+ +to the proxy, inbound /m);
    expect(good.stdout).toMatch(
      /^ok {4}another calls an excluded port: 10\.77\.0\.1:7070 +left alone +ISTIO_INBOUND: .*7070/m,
    );
    expect(good.stdout).not.toMatch(/^(?:FAIL|skip)/m);
    // Port 80 slips through, and nothing that comes in is taken any more.
    pod.sh(
      backend === 'nft'
        ? 'nft insert rule ip outrigger_nat ISTIO_OUTPUT tcp dport 80 counter return; nft flush chain ip6 outrigger_nat PREROUTING'
        : `${backend} -t nat -I ISTIO_OUTPUT -p tcp --dport 80 -j RETURN; ${backend.replace('ip', 'ip6')} -t nat -F PREROUTING`,
    );
    const bad = await intercept(pod, ['check', ...options]);
    expect(bad.code).toBe(1);
    const failed = bad.stdout.split('\n').filter((line) => line.startsWith('FAIL'));
    expect(failed).toEqual([
      expect.stringMatching(
        /the app calls another: 192\.0\.2\.1:80 +left alone .*80.*it should be: to the proxy, outbound/,
      ),
      expect.stringMatching(/another calls the app: \[fd77::1\]:8080 +left alone +no rule takes it; .*inbound/),
    ]);
    expect(bad.stderr).toMatch(/IPv4 nat ISTIO_OUTPUT: not of these options: /);
    expect(bad.stderr).toMatch(/IPv6 nat PREROUTING: missing: /);
    // And an installation mends it.
    expect(await intercept(pod, ['install', ...options])).toMatchObject(DONE);
    expect(await intercept(pod, ['check', ...options])).toMatchObject(DONE);
    expect(pod.sh('ip link')).not.toContain('or-check');
  });

  test('check judges by the rules where the kernel soon finds that nobody is there', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    pod.sh('sysctl -qw net.ipv4.neigh.eth0.retrans_time_ms=10 net.ipv4.neigh.eth0.mcast_solicit=1');
    await intercept(pod, ['install', '--backend', backend]);
    const good = await intercept(pod, ['check']);
    expect(good).toMatchObject(DONE);
    expect(good.stdout).toMatch(/^ok {4}the proxy calls another: 192\.0\.2\.1:80 +left alone/m);
    expect(good.stdout).not.toMatch(/^(?:FAIL|skip)/m);
  });

  test('takes no more than root with NET_ADMIN and NET_RAW', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const init: RunOptions = { capabilities: ['net_admin', 'net_raw'] };
    for (const args of [['install', '--backend', backend, '--mode', 'tproxy'], ['show'], ['install'], ['remove']]) {
      expect(await intercept(pod, args, init), args.join(' ')).toMatchObject(DONE);
    }
    await intercept(pod, ['install', '--backend', backend], init);
    const { code, stdout } = await intercept(pod, ['check'], init);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^skip {2}the proxy calls another: .*SETUID and SETGID are missing$/m);
    expect(stdout).toMatch(/^ok {4}another calls the app/m);
  });

  test('without capabilities it says which is missing, and changes nothing', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const before = state(pod, backend);
    for (const who of [{ capabilities: [] }, { uid: 1000 }]) {
      const { code, stderr } = await intercept(pod, ['install', '--backend', backend], who);
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(/the capability NET_ADMIN and NET_RAW is missing\n.*capabilities\.add/),
      ]);
    }
    expect(state(pod, backend)).toBe(before);
  });

  test('hundreds of ranges and ports are rules like others', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const ranges = Array.from(
      { length: 400 },
      (_, i) => `10.${i >> 8}.${i & 255}.0/24,fd00:${i.toString(16)}::/32`,
    ).join();
    const ports = Array.from({ length: 200 }, (_, i) => 20_000 + i).join();
    const options = ['-x', ranges, '-o', ports, '-b', ports];
    expect(await intercept(pod, ['install', '--backend', backend, ...options])).toMatchObject(DONE);
    const once = state(pod, backend);
    expect(await intercept(pod, ['install', '--backend', backend, ...options])).toMatchObject(DONE);
    expect(state(pod, backend)).toBe(once);
    const { rules } = JSON.parse((await intercept(pod, ['show', '--json'])).stdout).installed[0];
    expect(rules.length).toBeGreaterThan(2 * (400 + 200 + 200));
  });

  test('without IPv6 it installs for IPv4, and leaves IPv6 alone', async () => {
    await using network = TestNetwork.create({ ipv6: false });
    const pod = network.pod('app');
    const done = await intercept(pod, ['install', '--backend', backend, '--mode', 'tproxy']);
    expect(done).toMatchObject({ ...DONE, stdout: expect.stringContaining(`${backend}, IPv4, `) });
    expect(await intercept(pod, ['check', '--mode', 'tproxy'])).toMatchObject(DONE);
    expect(await intercept(pod, ['remove'])).toMatchObject(DONE);
  });
});

describe.each(['iptables-nft', 'iptables-legacy'] as const)('in tables that %s shares with others', (backend) => {
  test('others’ rules stay, and keep their places', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    pod.sh(`${backend}-restore -n <<'.'
*nat
:CNI-X - [0:0]
-A PREROUTING -p tcp --dport 9 -m comment --comment "speaks of -j ISTIO_INBOUND" -j ACCEPT
-A POSTROUTING -s 10.77.0.0/24 -j MASQUERADE
-A CNI-X -j RETURN
-A OUTPUT -d 10.99.0.0/16 -j CNI-X
COMMIT
*filter
-A INPUT -p tcp --dport 1 -j DROP
COMMIT
*mangle
-A OUTPUT -p udp -j MARK --set-mark 5
COMMIT
.`);
    const before = state(pod, backend);
    expect(await intercept(pod, ['install', '--mode', 'tproxy'])).toMatchObject({
      ...DONE,
      // Where the others are, without being told.
      stdout: expect.stringContaining(`by ${backend},`),
    });
    pod.sh(`${backend} -t nat -A OUTPUT -d 10.98.0.0/16 -j ACCEPT`);
    const once = state(pod, backend);
    expect(await intercept(pod, ['install', '--mode', 'tproxy'])).toMatchObject(DONE);
    expect(state(pod, backend)).toBe(once);
    pod.sh(`${backend} -t nat -D OUTPUT -d 10.98.0.0/16 -j ACCEPT`);
    expect(await intercept(pod, ['remove'])).toMatchObject(DONE);
    expect(state(pod, backend)).toBe(before);
  });

  test('half of an installation, with doubled jumps and rules of another mode, becomes a whole one', async () => {
    await using network = TestNetwork.create();
    const [crashed, clean] = [network.pod('crashed'), network.pod('clean')];
    crashed.sh(`${backend}-restore -n <<'.'
*nat
:ISTIO_INBOUND - [0:0]
:ISTIO_REDIRECT - [0:0]
-A ISTIO_INBOUND -p tcp -j ISTIO_REDIRECT
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 1
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A PREROUTING -j ISTIO_INBOUND
COMMIT
*mangle
:ISTIO_TPROXY - [0:0]
:ISTIO_INBOUND - [0:0]
-A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY
-A ISTIO_TPROXY -p tcp -j TPROXY --on-port 15006 --tproxy-mark 0x539/0xffffffff
-A PREROUTING -p tcp -j ISTIO_INBOUND
COMMIT
.
ip rule add fwmark 1337 lookup 133; ip rule add fwmark 1337 lookup 133 pref 5; ip route add local default dev lo table 133`);
    const broken = await intercept(crashed, ['show']);
    expect([broken.code, broken.stderr]).toEqual([
      1,
      expect.stringMatching(/nothing leads to the rules[\s\S]*a jump is there twice/),
    ]);
    for (const pod of [crashed, clean])
      expect(await intercept(pod, ['install', '--backend', backend])).toMatchObject(DONE);
    expect(state(crashed, backend)).toBe(state(clean, backend));
  });

  test('when IPv6 fails, IPv4 is put back as it was', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const empty = state(pod, backend);
    const env = {
      PATH: `${fakes({ [`${backend.replace('ip', 'ip6')}-restore`]: 'cat >/dev/null; echo "ip6tables: no such luck" >&2; exit 4' })}:${process.env.PATH}`,
    };
    const install = ['install', '--backend', backend];
    expect(await intercept(pod, [...install, '--mode', 'tproxy'], { env })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no such luck'),
    });
    expect(state(pod, backend)).toBe(empty);
    await intercept(pod, [...install, '-o', '3306']);
    const installed = state(pod, backend);
    expect((await intercept(pod, [...install, '-o', '5432'], { env })).code).toBe(1);
    expect(state(pod, backend)).toBe(installed);
  });
});

test('an installation by another program is replaced, so that no connection meets two', async () => {
  await using network = TestNetwork.create();
  const pod = network.pod('app');
  for (const backend of [...BACKENDS, ...BACKENDS]) {
    expect(await intercept(pod, ['install', '--backend', backend])).toMatchObject(DONE);
    const { installed } = JSON.parse((await intercept(pod, ['show', '--json'])).stdout);
    expect(installed.map((one: { backend: string }) => one.backend)).toEqual([backend]);
  }
  // Not told which, it stays with the one that is there.
  expect((await intercept(pod, ['install'])).stdout).toContain('by nft,');
});

describe('a machine that lacks something', () => {
  test('the kernel without nf_tables is left to the other kind of iptables', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const said = 'echo "iptables-nft-save: Failed to initialize nft: Protocol not supported" >&2; exit 1';
    const env = { PATH: `${fakes({ 'iptables-nft-save': said, 'ip6tables-nft-save': said })}:${process.env.PATH}` };
    expect((await intercept(pod, ['install'], { env })).stdout).toContain('by iptables-legacy,');
    const { code, stderr } = await intercept(pod, ['install', '--backend', 'iptables-nft'], { env });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/the kernel lacks what the rules need: .*\n.*modprobe nf_tables/),
    ]);
  });

  test('a missing table is named with its module', async () => {
    await using network = TestNetwork.create();
    const pod = network.pod('app');
    const said = `cat >/dev/null; echo "iptables-restore: unable to initialize table 'nat'
Error occurred at line: 1
modprobe: can't change directory; Table does not exist (do you need to insmod?)" >&2; exit 3`;
    const env = { PATH: `${fakes({ 'iptables-legacy-restore': said })}:${process.env.PATH}` };
    const { code, stderr } = await intercept(pod, ['install', '--backend', 'iptables-legacy'], { env });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/modprobe iptable_nat .*xt_owner/)]);
    expect((await intercept(pod, ['show'])).stderr).toContain('nothing is installed');
  });
});

/** A folder of programs in place of the real ones. */
function fakes(scripts: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-intercept-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755);
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return folder;
}
