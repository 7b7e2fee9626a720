import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';

const ROOT = join(import.meta.dirname, '..');
const DOCUMENTS = globSync('{*.md,docs/**/*.md,bench/**/*.md,deploy/**/*.md}', { cwd: ROOT });

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

function trim(text: string): string {
  return text.trim();
}

/** Text outside of code blocks: examples may speak of files that a reader is about to write. */
function prose(file: string): string {
  return read(file).replace(/^```[\s\S]*?^```/gm, '');
}

/** The anchors of a document's headings, as GitHub makes them. */
function anchors(file: string): Set<string> {
  const headings = prose(file).matchAll(/^#+ (.*)$/gm);
  const slug = (text: string): string =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  return new Set(Array.from(headings, ([, text = '']) => slug(text)));
}

test('every link leads to a file, and to a heading of it', () => {
  const broken = DOCUMENTS.flatMap((file) =>
    [...prose(file).matchAll(/\]\(([^)#:\s]*)(?:#([^)\s]*))?\)/g)].flatMap(([, path = '', anchor]) => {
      const target = path === '' ? file : normalize(join(dirname(file), path));
      if (!existsSync(join(ROOT, target))) return [`${file} -> ${target}`];
      return anchor === undefined || anchors(target).has(anchor) ? [] : [`${file} -> ${target}#${anchor}`];
    }),
  );
  expect(broken).toEqual([]);
});

const ROOM = /^(?:\.ci|src|filters|policies|bench|bin|docs|examples|scripts|test)\//;

test('every path of the repository that a document names is there', () => {
  const missing = DOCUMENTS.flatMap((file) =>
    [...prose(file).matchAll(/`([\w.*/-]+)`/g)]
      .map(([, path = '']) => path)
      .filter((path) => ROOM.test(path) && globSync(path, { cwd: ROOT }).length === 0)
      .map((path) => `${file}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test('files that ARCHITECTURE.md names without their folder are there', () => {
  const names = new Set(globSync('{src,filters}/**/*.ts', { cwd: ROOT }).map((file) => file.split('/').at(-1)));
  const missing = [...prose('ARCHITECTURE.md').matchAll(/`([a-z0-9-]+\.ts)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => !names.has(name));
  expect(missing).toEqual([]);
});

const IMPORT =
  /(?:^|\n)(?:import|export)\s[^;]*?\sfrom\s+'(\.[^']+)'|(?:^|\n)import '(\.[^']+)'|\bimport\('(\.[^']+)'\)/g;

/** The room of a file as ARCHITECTURE.md calls it: `config`, `files` for those in src itself, `filters/` outside of src. */
function roomOf(file: string): string {
  const [first = '', second = '', ...rest] = file.split('/');
  if (first !== 'src') return `${first}/`;
  return rest.length === 0 ? 'files' : second;
}

/** What the files of each room import, types included. */
function importsByRoom(): Map<string, Set<string>> {
  const rooms = new Map<string, Set<string>>();
  for (const file of globSync('{src,filters,policies,bench}/**/*.ts', { cwd: ROOT })) {
    const room = roomOf(file);
    const imported = rooms.get(room) ?? new Set();
    rooms.set(room, imported);
    for (const match of read(file).matchAll(IMPORT)) {
      const specifier = match[1] ?? match[2] ?? match[3] ?? '';
      const target = roomOf(normalize(join(dirname(file), specifier)));
      if (target !== room) imported.add(target);
    }
  }
  return rooms;
}

/** One line per room: its name, and the rooms that it imports in alphabetical order. */
function line(room: string, imported: Iterable<string>): string {
  return `${room} <- ${[...imported].sort().join(' ')}`;
}

test('the table of rooms is the tree: every folder, and what it imports', () => {
  const [, table = ''] = /\n\| room \|.*\n\|.*\n((?:\|.*\n)+)/.exec(read('ARCHITECTURE.md')) ?? [];
  const documented = table
    .trim()
    .split('\n')
    .map((row) => {
      const [, room = '', , imported = ''] = row.split('|').map((cell) => cell.trim());
      const name = room === '`src/` files' ? 'files' : room.replace(/^`src\/(.*)\/`$/, '$1').replaceAll('`', '');
      return line(name, imported === '–' ? [] : imported.split(', '));
    });
  const real = Array.from(importsByRoom(), ([room, imported]) => line(room, imported));
  expect(documented.sort()).toEqual(real.sort());
});

test('the examples of CONTRIBUTING.md are lines of the tree', () => {
  const tree = new Set(
    globSync('{filters,policies,bench,test}/**/*.{ts,yaml}', { cwd: ROOT }).flatMap((file) =>
      read(file).split('\n').map(trim),
    ),
  );
  const invented = [...read('CONTRIBUTING.md').matchAll(/^ *```(?:ts|yaml)\n([\s\S]*?)^ *```/gm)]
    .flatMap(([, block = '']) => block.split('\n').map(trim))
    .filter((text) => text !== '' && !text.startsWith('//') && !tree.has(text));
  expect(invented).toEqual([]);
});

test('every command and option in the documents exists', async () => {
  const unknown: string[] = [];
  for (const file of DOCUMENTS) {
    for (const [, block = ''] of read(file).matchAll(/^```(?:sh|console)\n([\s\S]*?)^```/gm)) {
      for (const [call, name = '', rest = ''] of block.matchAll(/(?:^|[$ /])outrigger (\w+)([^\n#|]*)/gm)) {
        const entry = COMMANDS.find((command) => command.name === name);
        const command = await entry?.load();
        const sub = command?.commands.find((one) => one.name() === rest.trim().split(' ')[0]) ?? command;
        const options = rest.match(/(?<= )--?[a-z][a-z-]*/g) ?? [];
        const isKnown = (option: string): boolean =>
          sub?.options.some(({ long, short }) => option === long || option === short) === true;
        if (name !== 'help' && (command === undefined || !options.every(isKnown)))
          unknown.push(`${file}: ${call.trim()}`);
      }
    }
  }
  expect(unknown).toEqual([]);
});

test('the README has one place for the table of ratios', () => {
  expect(read('README.md').match(/<!-- ratios:(begin|end) -->/g)).toEqual([
    '<!-- ratios:begin -->',
    '<!-- ratios:end -->',
  ]);
});
