import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { interceptCommand } from '../../src/cli/intercept.ts';
import { INTERCEPT_OPTIONS, readFlags, ruleTexts } from '../../src/cli/intercept-flags.ts';
import { OPTION_TABLE } from '../../src/intercept/option-table.ts';
import { runCli } from './run-cli.ts';

test('a command line of istio-iptables is read, without commander', () => {
  const line = '-p 15001 -z 15006 -u 1337 -m REDIRECT -i * -x  -b * -d 15090,15021,15020 --kube-virt-interfaces=vm0 -n';
  const flags = readFlags(line.split(' '), INTERCEPT_OPTIONS.install);
  expect(flags).toMatchObject({ dryRun: true });
  expect(ruleTexts(flags ?? {})).toEqual({
    outboundPort: '15001',
    inboundPort: '15006',
    proxyUids: '1337',
    mode: 'REDIRECT',
    outboundRanges: '*',
    excludedOutboundRanges: '',
    inboundPorts: '*',
    excludedInboundPorts: '15090,15021,15020',
    virtualInterfaces: 'vm0',
  });
});

test.each([
  ['--help'],
  ['--mode'],
  ['--mode', '--dry-run'],
  ['--backend', 'ipfw'],
  ['--dry-run=1'],
  ['-o80'],
  ['x'],
  ['--x'],
])('%j is left to commander', (...args) => {
  expect(readFlags(args, INTERCEPT_OPTIONS.install)).toBeUndefined();
});

test('commander and the way without it know the same options', () => {
  for (const [verb, options] of Object.entries(INTERCEPT_OPTIONS)) {
    const command = interceptCommand().commands.find((one) => one.name() === verb);
    expect(command?.options.map(({ flags }) => flags)).toEqual(options.map(({ flags }) => flags));
  }
});

test('all problems of a command line are told at once, with exit code 2', async () => {
  const { code, stdout, stderr } = await runCli(['intercept', 'install', '-o', '70000', '-x', '10.0.0.0/99']);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain("outrigger: --exclude-outbound-ports: '70000' is not a port");
  expect(stderr).toContain("outrigger: --exclude-outbound-ranges: '10.0.0.0/99': the prefix of IPv4 has 0 to 32 bits");
});

test.each([
  [['install', '--exclude-outbound-port', '80'], /Did you mean --exclude-outbound-ports\?/],
  [['instal'], /Did you mean install\?/],
  [['install', '--backend', 'ipfw'], /Allowed choices are auto, iptables-nft/],
])('a slip is answered with what was meant: %j', async (args, meant) => {
  const { code, stderr } = await runCli(['intercept', ...args]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(meant)]);
});

test('a file of annotations that is not there, or cannot be read, is an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-annotations-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'annotations');
  const args = ['intercept', 'install', '--annotations', file];
  expect(await runCli(args)).toMatchObject({
    code: 2,
    stderr: `outrigger: --annotations: ${file}: there is no such file\n`,
  });
  writeFileSync(
    file,
    'a="1"\ntraffic.sidecar.istio.io/excludeOutboundPorts=80\noutrigger.dev/excludeInboundPorts="http"\n',
  );
  const { code, stderr } = await runCli(args);
  expect(code).toBe(2);
  expect(stderr).toContain(`${file}: line 2: expected key="value"`);
  expect(stderr).toContain("outrigger.dev/excludeInboundPorts: 'http' is not a port");
});

test('the document lists every option, with its variable and its annotation', () => {
  const document = readFileSync(resolve(import.meta.dirname, '../../docs/interception.md'), 'utf8');
  for (const { name, short, help, variable, annotation } of Object.values(OPTION_TABLE)) {
    const row = document.split('\n').find((line) => line.startsWith('| ') && line.includes(`\`--${name}\`: ${help} |`));
    expect(row, name).toBeDefined();
    for (const word of [short && `-${short}`, variable, annotation]) if (word) expect(row).toContain(`\`${word}\``);
  }
});
