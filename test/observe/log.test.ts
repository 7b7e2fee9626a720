import { describe, expect, it } from 'vitest';
import type { LoggerOptions } from '../../src/observe/log.ts';
import { createLogger, parseLogLevel } from '../../src/observe/log.ts';

const NOW = Date.UTC(2026, 10, 21, 21, 14, 54, 340);

function capture(options: LoggerOptions = {}) {
  const lines: string[] = [];
  const clock = { nowMs: NOW };
  const log = createLogger({ write: (line) => void lines.push(line), now: () => clock.nowMs, ...options });
  return { log, lines, clock };
}

describe('createLogger', () => {
  it('writes text lines with component and fields', () => {
    const { log, lines } = capture();
    log
      .component('upstream')
      .warn('endpoint is down', { address: '127.0.0.1:80', tries: 3, why: 'no "route"', error: new Error('x') });
    expect(lines).toEqual([
      '[2026-11-21 21:14:54.340][warning][upstream] endpoint is down address=127.0.0.1:80 tries=3 why="no \\"route\\"" error=x\n',
    ]);
  });

  it('writes JSON lines', () => {
    const { log, lines } = capture({ format: 'json' });
    log.info('ready', { port: 80, big: 7n, level: 'forged' });
    expect(JSON.parse(lines[0] as string)).toEqual({
      time: '2026-11-21T21:14:54.340Z',
      level: 'info',
      component: 'main',
      message: 'ready',
      port: 80,
      big: '7',
    });
  });

  it('changes levels at run time, of one component or all', () => {
    const { log, lines } = capture();
    const http = log.component('http');
    http.debug('hidden');
    expect(log.setLevel('debug', 'http')).toBe(true);
    http.debug('shown');
    log.debug('main still hides');
    log.setLevel('off');
    http.error('silenced');
    log.component('made-later').error('silenced too');
    expect(log.setLevel('info', 'nope')).toBe(false);
    expect(lines.map((line) => line.trim().split(' ').slice(2).join(' '))).toEqual(['shown']);
    expect([...log.levels()]).toEqual([
      ['main', 'off'],
      ['http', 'off'],
      ['made-later', 'off'],
    ]);
  });

  it('writes a repeated message a few times, then how many it kept back', () => {
    const { log, lines, clock } = capture();
    for (let i = 0; i < 100; i++) log.warn('connect failed', { attempt: i });
    log.warn('another');
    clock.nowMs += 10_000;
    log.warn('connect failed', { attempt: 100 });
    expect(lines).toHaveLength(7);
    expect(lines.at(-1)).toContain('connect failed attempt=100 suppressed=95\n');
  });

  it('keeps a message on its line', () => {
    const { log, lines } = capture();
    log.error('bad\n[2026] forged\x1b[31m');
    expect(lines[0]).toMatch(/bad\\n\[2026\] forged\\u001b\[31m\n$/);
  });

  it('knows levels by name', () => {
    expect(['warn', 'WARNING', 'off', 'loud'].map(parseLogLevel)).toEqual(['warning', 'warning', 'off', undefined]);
  });
});
