import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');

/** A configuration file that tests run over. */
export interface CorpusFile {
  /** Path from the root of the checkout. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly extension: 'yaml' | 'json';
}

/** Files that both proxies refuse; the first line says `# expect: <part of our reason>`. */
export const wrongFiles = filesIn('test/config/fixtures/wrong');
/** Files that Envoy accepts and we refuse; each `# expect: <part of our reason>` names one problem. */
export const unsupportedFiles = filesIn('test/config/fixtures/unsupported');
/** Files in canonical form that both proxies accept. */
export const rightFiles = filesIn('test/config/fixtures/right');
/** Sidecar files for tests. */
export const sidecarFiles = filesIn('test/config/fixtures/sidecar');
/** Configurations that ship: in either form. */
export const shippedFiles = [...filesIn('examples'), ...filesIn('bench/scenarios')].filter(isConfiguration);

function filesIn(folder: string): CorpusFile[] {
  const root = join(ROOT, folder);
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ya?ml|json)$/.test(name) && !name.includes('node_modules'))
    .sort()
    .map((name) => {
      const path = join(root, name);
      const extension = name.endsWith('.json') ? 'json' : 'yaml';
      return { name: relative(ROOT, path), path, text: readFileSync(path, 'utf8'), extension };
    });
}

/** Examples also hold other YAML and JSON. */
function isConfiguration({ text }: CorpusFile): boolean {
  return /^("?static_?[rR]esources|app|listen|listeners):/m.test(text);
}

/** True when Envoy cannot run the file: it has no TypeScript filters. */
export function namesModule({ text }: CorpusFile): boolean {
  return /outrigger\.v1\.|\bmodule:/.test(text);
}
