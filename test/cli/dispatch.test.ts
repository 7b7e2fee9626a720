import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { RunningCli, runCli } from './run-cli.ts';

describe('the command line', () => {
  test('teaches every command and the exit codes when called without arguments', async () => {
    const { code, stdout } = await runCli([]);
    expect(code).toBe(0);
    for (const { name, summary } of COMMANDS) expect(stdout).toMatch(new RegExp(`${name} +${summary}`));
    expect(stdout).toContain('Exit codes: 0 done, 1 failed, 2');
  });

  test('help of a command is the same as its --help', async () => {
    const [one, other] = await Promise.all([runCli(['help', 'run']), runCli(['run', '--help'])]);
    expect(one.code).toBe(0);
    expect(one.stdout).toBe(other.stdout);
    expect(one.stdout).toContain('SIGHUP');
  });

  test('ends without a word when whoever reads its output has enough', async () => {
    const cli = new RunningCli(['expand', 'bench/scenarios/mix_all.yaml']);
    cli.child.stdout.destroy();
    expect(await cli.ended()).toMatchObject({ code: 1, stderr: '' });
  });

  test('suggests the command that was meant, with exit code 2', async () => {
    const { code, stderr } = await runCli(['chekc']);
    expect(code).toBe(2);
    expect(stderr).toContain("there is no command 'chekc'");
    expect(stderr).toContain('did you mean outrigger check?');
  });

  test('suggests the option that was meant, with exit code 2', async () => {
    const { code, stderr } = await runCli(['run', '--concurency', '2']);
    expect(code).toBe(2);
    expect(stderr).toContain("unknown option '--concurency'");
    expect(stderr).toContain('--concurrency');
  });

  test.each([
    [['policy', 'check'], "outrigger: missing required argument 'files'"],
    [['policy', 'explain', 'p.yaml', '--side', 'left'], 'It is sender or receiver.'],
    [['policy', 'apply', 'p.yaml'], "outrigger: required option '--to <file>' not specified"],
    [['certs', 'show', '--forze'], "outrigger: unknown option '--forze'"],
    [['bench', 'setup', '--nonsense'], "outrigger: unknown option '--nonsense'"],
  ])('a wrong line of a command within a command (%j) is told alike, with exit code 2', async (args, text) => {
    const { code, stderr } = await runCli(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
  });

  test('prints the version of the package and of the Node that it pins', async () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    const { code, stdout } = await runCli(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^outrigger ${manifest.version.replaceAll('.', '\\.')} \\(node 2[4-9]\\.`));
  });

  test('writes no colours when its output is no terminal', async () => {
    const { stderr } = await runCli(['check', '-c', 'no-such-file.yaml']);
    expect(stderr).not.toContain('\u001b[');
  });
});

describe('outrigger run', () => {
  test.each([
    [['run'], 'nothing to run'],
    [['run', '--app', ':3000'], 'needs both --app and --listen'],
    [['run', '-c', 'x.yaml', '--app', ':1', '--listen', ':2'], 'exclude each other'],
    [['run', '--app', 'nonsense', '--listen', ':0'], "--app: 'nonsense' is not an address"],
    [['run', '-c', 'x.yaml', '--concurrency', 'many'], "--concurrency: 'many' is not a whole number from 1 to 128"],
    [['run', '-c', 'x.yaml', '--log-level', 'loud'], "--log-level: 'loud' is not a level"],
    [['run', '-c', 'x.yaml', '--drain-time', '-1'], "--drain-time: '-1' is not a number"],
  ])('%j is refused with exit code 2', async (args, message) => {
    const { code, stderr } = await runCli(args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

describe('outrigger expand', () => {
  test('turns the demo’s short form into Envoy’s configuration', async () => {
    const { code, stdout } = await runCli(['expand', 'examples/demo/sidecar.yaml']);
    expect(code).toBe(0);
    expect(stdout).toContain('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager');
    expect(stdout).toContain('envoy.extensions.filters.http.rbac.v3.RBAC');
  });
});
