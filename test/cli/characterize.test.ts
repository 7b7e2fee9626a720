import { afterEach, describe, expect, it, vi } from 'vitest';
import { findProgram } from '../../bench/run/root.ts';
import { characterizeCommand } from '../../src/cli/characterize.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

function characterize(...args: string[]): Promise<unknown> {
  const command = characterizeCommand().configureOutput({ writeErr: () => undefined });
  return command.parseAsync(args, { from: 'user' });
}

describe('outrigger characterize', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it('starts nothing for a configuration or a peer that does not exist', async () => {
    await expect(characterize('--configuration', 'http,nope')).rejects.toThrow(
      new UsageError('no configuration is called "nope"; `outrigger characterize --list` shows them all'),
    );
    await expect(characterize('--configuration', 'http', '--peer', 'squid')).rejects.toThrow(
      /no peer is called "squid"; there are direct, outrigger, envoy/,
    );
  });

  it('starts nothing for rows that are open', async () => {
    await expect(characterize('--configuration', 'sql')).rejects.toThrow(
      'sql is open: it follows with the SQL filters',
    );
  });

  it('starts nothing for costs of which there would be no base', async () => {
    await expect(
      characterize('--configuration', 'tcp,ratelimit', '--peer', 'outrigger', '--costs', 'costs.yaml'),
    ).rejects.toThrow(
      '--costs: the costs of policies are differences from the configuration http, which is not measured',
    );
  });

  it('starts nothing without a proxy', async () => {
    await expect(characterize('--peer', 'direct')).rejects.toThrow(/without a proxy there is nothing/);
  });

  it('starts nothing for a peer that is asked for and not installed', async () => {
    vi.stubEnv('OUTRIGGER_ENVOY', '/nowhere/envoy');
    await expect(characterize('--configuration', 'http', '--peer', 'envoy')).rejects.toThrow(
      /envoy: OUTRIGGER_ENVOY names \/nowhere\/envoy/,
    );
  });

  it('starts nothing where no proxy can do what is to be measured, and the last result stays', async (context) => {
    if (findProgram('nginx') === undefined) context.skip('needs nginx');
    await expect(characterize('--configuration', 'rbac_accept_all', '--peer', 'nginx')).rejects.toThrow(
      'nginx can do none of rbac_accept_all',
    );
  });

  it('writes no two files at one place', async () => {
    await expect(
      characterize('--configuration', 'http', '--peer', 'outrigger', '--json', 'a', '--text', './a'),
    ).rejects.toThrow('./a would be written over what this command writes there too');
  });

  it('takes whole numbers above zero only', async () => {
    for (const option of ['--rounds', '--duration'])
      for (const value of ['0', '-1', '1.5', 'x'])
        await expect(characterize(option, value)).rejects.toThrow(/whole number above 0/);
  });

  it('lists the configurations with what each is in the benchmark, the open ones too', async () => {
    let said = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said += text;
      return true;
    });
    await characterize('--list');
    expect(said).toMatch(/^rbac_reject_100 +RBAC Reject 100 +net_rbac_reject_100$/m);
    expect(said).toMatch(/^iprate_iptag +HTTP Mix 1 +iprate_iptag +ratelimit \+ iptag$/m);
    expect(said).toMatch(/^sql-admin +open: follows with the SQL filters$/m);
  });
});
