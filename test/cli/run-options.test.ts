import { describe, expect, test } from 'vitest';
import { runCommand } from '../../src/cli/run-command.ts';
import { RUN_OPTIONS, readOrdinary } from '../../src/cli/run-options.ts';

describe('an ordinary command line', () => {
  test.each([
    [['-c', 'a.yaml'], { config: 'a.yaml' }],
    [['--config-path', 'a.yaml', '--mode', 'validate'], { configPath: 'a.yaml', mode: 'validate' }],
    [['-c', 'a.yaml', '--watch', '--drain-time=5'], { config: 'a.yaml', watch: true, drainTime: '5' }],
    [
      ['--app', ':1', '--listen', ':2', '--filter', 'a.ts', '--filter', 'b.ts'],
      { app: ':1', listen: ':2', filter: ['a.ts', 'b.ts'] },
    ],
    [[], {}],
  ])('%j is read as commander reads it', async (args, flags) => {
    expect(readOrdinary(args)).toEqual(flags);
    expect(await readByCommander(args)).toEqual(flags);
  });

  test.each([
    [['--help']],
    [['-c']],
    [['-c', '--watch']],
    [['--mode', 'fast']],
    [['--watch=yes']],
    [['a.yaml']],
    [['--confg', 'x']],
  ])('%j is none and is left to commander', (args) => {
    expect(readOrdinary(args)).toBeUndefined();
  });
});

test('the help shows every option but the other spellings', () => {
  const help = runCommand().helpInformation();
  for (const { flags, help: text } of RUN_OPTIONS) expect(help.includes(flags)).toBe(text !== '');
});

async function readByCommander(args: readonly string[]): Promise<unknown> {
  let flags: unknown;
  const command = runCommand();
  await command
    .action((found: unknown) => {
      flags = found;
    })
    .parseAsync([...args], { from: 'user' });
  return flags;
}
