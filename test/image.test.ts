import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

/** There is no Docker engine where the tests run: what the image promises is read off its Dockerfile. */
const ROOT = join(import.meta.dirname, '..');
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8').replace(/\\\n\s*/g, '');
const instructions = dockerfile.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const finalStage = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')));

function argumentOf(instruction: string): string {
  return finalStage.find((line) => line.startsWith(`${instruction} `))?.slice(instruction.length + 1) ?? '';
}

describe('the image', () => {
  test('knows only instructions that exist', () => {
    const known = /^(FROM|RUN|WORKDIR|COPY|USER|EXPOSE|HEALTHCHECK|STOPSIGNAL|ENTRYPOINT|CMD|ENV|ARG|LABEL) \S/;
    expect(instructions.filter((line) => !known.test(line))).toEqual([]);
  });

  test('runs as uid 1337', () => {
    expect(argumentOf('USER')).toBe('1337:1337');
  });

  test('needs no shell: entry, default command and health check are lists of arguments', () => {
    for (const text of [
      argumentOf('ENTRYPOINT'),
      argumentOf('CMD'),
      argumentOf('HEALTHCHECK').replace(/^.*CMD /, ''),
    ]) {
      expect(JSON.parse(text)).toBeInstanceOf(Array);
    }
    expect(finalStage.filter((line) => line.startsWith('RUN '))).toEqual([]);
  });

  test('starts Node with the flags of the launcher', () => {
    const launcher = readFileSync(join(ROOT, 'bin/outrigger'), 'utf8');
    const flags = (JSON.parse(argumentOf('ENTRYPOINT')) as string[]).filter((part) => part.startsWith('--'));
    expect(flags.length).toBeGreaterThan(0);
    for (const flag of flags) expect(launcher).toContain(flag);
  });

  test('builds from files that the build context has', () => {
    const context = readFileSync(join(ROOT, '.dockerignore'), 'utf8').match(/^!.*$/gm) ?? [];
    for (const entry of context) expect(existsSync(join(ROOT, entry.slice(1))), entry).toBe(true);
    for (const file of ['package.json', 'package-lock.json', '.npmrc', 'scripts', 'src']) {
      expect(context).toContain(`!${file}`);
    }
  });
});
