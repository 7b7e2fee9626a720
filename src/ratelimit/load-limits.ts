import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseSource } from '../config/document.ts';
import { ConfigError } from '../config/errors.ts';
import { problemsOf, readText } from '../config/load.ts';
import { runSchema } from '../config/schema/schema.ts';
import { findingOf } from '../config/validate.ts';
import { LimitTable } from './limit-table.ts';
import { LimitsFile } from './limits-schema.ts';

const EXTENSIONS = /\.(ya?ml|json)$/;

/**
 * Reads the limits of one file, or of all YAML and JSON files in a folder: one domain each.
 * @throws ConfigError with every problem of the first file that has one
 */
export function loadLimits(path: string): LimitTable {
  const fileOf = new Map<string, string>();
  const all: LimitsFile[] = [];
  for (const file of filesOf(path)) {
    const limits = readLimits(file);
    const other = fileOf.get(limits.domain);
    if (other !== undefined) throw oneProblem(file, `the domain ${JSON.stringify(limits.domain)} is that of ${other}`);
    fileOf.set(limits.domain, file);
    all.push(limits);
  }
  return new LimitTable(all);
}

function filesOf(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path];
  // Names that begin with a dot are Kubernetes' own folders behind a ConfigMap.
  const names = readdirSync(path).filter((name) => EXTENSIONS.test(name) && !name.startsWith('.'));
  if (names.length === 0)
    throw oneProblem(path, 'the folder has no file of limits', 'files that end in .yaml or .json');
  return names.sort().map((name) => join(path, name));
}

function readLimits(file: string): LimitsFile {
  const source = parseSource(readText(file));
  if (Array.isArray(source)) throw new ConfigError(file, source);
  const result = runSchema(LimitsFile, source.data, {});
  if (result.issues === undefined) return result.value as LimitsFile;
  throw new ConfigError(
    file,
    problemsOf(result.issues.map(findingOf), source, (at) => at),
  );
}

function oneProblem(file: string, message: string, allowed?: string): ConfigError {
  return new ConfigError(file, [{ line: 1, column: 1, path: '', message, allowed }]);
}
