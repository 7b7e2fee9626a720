import { describe, expect, it } from 'vitest';
import { benchCommand } from '../../src/cli/bench.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

function bench(...args: string[]): Promise<unknown> {
  const command = benchCommand().configureOutput({ writeErr: () => undefined });
  return command.parseAsync(args, { from: 'user' });
}

describe('outrigger bench', () => {
  it('starts nothing for a scenario or a peer that does not exist', async () => {
    await expect(bench('--scenario', 'http,nope')).rejects.toThrow(
      new UsageError('no scenario or group is called "nope"; `outrigger bench --list` shows them all'),
    );
    await expect(bench('--scenario', 'http', '--peer', 'squid')).rejects.toThrow(
      /no peer is called "squid"; there are direct, outrigger, envoy/,
    );
  });

  it('starts nothing for a peer that is asked for and not installed', async () => {
    const before = process.env.OUTRIGGER_ENVOY;
    process.env.OUTRIGGER_ENVOY = '/nowhere/envoy';
    try {
      await expect(bench('--scenario', 'http', '--peer', 'envoy')).rejects.toThrow(
        /envoy: OUTRIGGER_ENVOY names \/nowhere\/envoy/,
      );
    } finally {
      if (before === undefined) delete process.env.OUTRIGGER_ENVOY;
      else process.env.OUTRIGGER_ENVOY = before;
    }
  });

  it('takes whole numbers above zero only', async () => {
    for (const value of ['0', '-1', '1.5', 'x']) {
      await expect(bench('--rounds', value)).rejects.toThrow(/whole number above 0/);
    }
  });
});
