import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConnectionManager } from '../../../src/http/connection-manager.ts';
import { Router } from '../../../src/http/router.ts';
import { HttpStream } from '../../../src/http/stream.ts';
import { methodsOf, SourcePlaces } from '../../../src/lab/profile/source-places.ts';
import { componentOf } from '../../../src/observe/components.ts';
import { SEAMS } from '../../../src/probe/seams.ts';

const ROOT = join(import.meta.dirname, '../../..');

test('methods and functions begin where their head is', () => {
  const source = `export class A {
  private readonly x = 1;
  constructor(x: number) {
    if (x) this.run();
  }
  override async run(): Promise<void> {}
  private readonly onDone = (): void => {};
  get size(): number { return 1; }
}
function helper(a: number) {
  return a;
}`;
  expect(methodsOf(source)).toEqual([
    { line: 3, name: 'constructor' },
    { line: 6, name: 'run' },
    { line: 7, name: 'onDone' },
    { line: 8, name: 'size' },
    { line: 10, name: 'helper' },
  ]);
});

test('every file of the data path has a part, or is a helper', () => {
  const places = new SourcePlaces(ROOT);
  const files = globSync('{src/http,src/network,src/upstream,src/tls,src/listener,filters}/**/*.ts', { cwd: ROOT });
  expect(files.length).toBeGreaterThan(100);
  for (const file of files) {
    const part = places.partOf(join(ROOT, file), 1);
    expect(part, file).toBeDefined();
    if (part !== '') expect(() => componentOf(part as string), file).not.toThrow();
  }
});

test('methods that the table names are there', () => {
  const names = (file: string): string[] => methodsOf(readFileSync(join(ROOT, file), 'utf8')).map(({ name }) => name);
  expect(names('src/http/http1/server-connection.ts')).toEqual(
    expect.arrayContaining(['readHead', 'startRequest', 'writeHead']),
  );
  expect(names('src/http/http1/client-connection.ts')).toEqual(expect.arrayContaining(['readHead', 'writeHead']));
  expect(names('src/http/stream.ts')).toContain('matchRoute');
  expect(names('src/http/response-path.ts')).toContain('sendResponseHead');
  expect(names('src/network/handle-connection.ts')).toEqual(expect.arrayContaining(['writeText', 'writeStable']));
});

test('where the probes see streams or routing entered, profiles do too', () => {
  const places = new SourcePlaces(ROOT);
  const files = ['stream', 'stream-core', 'response-path', 'router', 'connection-manager'].map(
    (name) => `src/http/${name}.ts`,
  );
  const entries = new Set<string>();
  for (const file of files) {
    for (const { name, line } of methodsOf(readFileSync(join(ROOT, file), 'utf8'))) {
      if (places.isCoreEntry(join(ROOT, file), line)) entries.add(name);
    }
  }
  const seams = SEAMS.filter(({ of: owner, part }) => {
    const isCore = part === 'packet_processing' || part === 'routing';
    return isCore && [HttpStream, Router, ConnectionManager].some((one) => one === owner);
  });
  expect(seams.length).toBeGreaterThan(5);
  expect([...entries]).toEqual(expect.arrayContaining(seams.flatMap(({ methods }) => methods)));
  expect(places.isCoreEntry(join(ROOT, 'filters/cors.ts'), 1)).toBe(false);
  expect(places.isCoreEntry('node:net', 1)).toBe(false);
});
