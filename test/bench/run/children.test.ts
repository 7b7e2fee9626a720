import { readFileSync } from 'node:fs';
import { execPath } from 'node:process';
import { describe, expect, it } from 'vitest';
import { killAll, runToEnd, start } from '../../../bench/run/children.ts';

describe('child processes', () => {
  it('that ignore SIGTERM are killed', async () => {
    const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')";
    const child = start({ command: execPath, args: ['-e', script] }, []);
    await new Promise<void>((resolve) => child.onStdout(() => resolve()));
    await child.stop(200);
    expect(await child.exited).toBe('SIGKILL');
  });

  it('all end at once when the user interrupts', async () => {
    const children = [1, 2].map(() => start({ command: 'sleep', args: ['30'] }, []));
    killAll();
    expect(await Promise.all(children.map((child) => child.exited))).toEqual(['SIGKILL', 'SIGKILL']);
  });

  it('take what they started with them', async () => {
    const child = start({ command: 'sh', args: ['-c', 'sleep 30 & echo $!; wait'] }, []);
    const grandchild = await new Promise<number>((resolve) => child.onStdout((text) => resolve(Number(text))));
    killAll();
    await child.exited;
    await expect.poll(() => isAlive(grandchild)).toBe(false);
  });

  it('that fail give the reason that they wrote', async () => {
    const command = { command: 'sh', args: ['-c', 'echo no such thing >&2; exit 3'] };
    await expect(runToEnd(command, [])).rejects.toThrow(/ended with 3: no such thing/);
    await expect(runToEnd({ command: '/nowhere/program', args: [] }, [])).rejects.toThrow(/ENOENT/);
  });
});

/** A zombie, whose parent has not asked for it yet, has ended too. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
