import { stringify } from 'yaml';
import { parseSource } from './document.ts';
import { ConfigError } from './errors.ts';
import { readText, toCanonical } from './load.ts';

export interface ExpandOptions {
  /** JSON in place of YAML. */
  readonly json?: boolean;
}

/** The canonical form of a configuration file, as YAML that Envoy reads. @throws ConfigError */
export function expandFile(file: string, options: ExpandOptions = {}): string {
  return expandText(file, readText(file), options);
}

/** Likewise for text at hand; `file` is for error messages. @throws ConfigError */
export function expandText(file: string, text: string, options: ExpandOptions = {}): string {
  const source = parseSource(text);
  if (Array.isArray(source)) throw new ConfigError(file, source);
  const { canonical } = toCanonical(file, source);
  return options.json ? `${JSON.stringify(canonical, undefined, 2)}\n` : toYaml(canonical);
}

/** Plain data as YAML that any parser reads alike: words such as `yes` and `on` are quoted where they are texts. */
export function toYaml(data: unknown): string {
  return stringify(data, { compat: 'yaml-1.1', aliasDuplicateObjects: false, lineWidth: 0 });
}
