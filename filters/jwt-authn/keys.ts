import { readFileSync } from 'node:fs';
import type { DataSource } from '../../src/config/schema/core.ts';
import type { Failure } from './failure.ts';
import { KeySet } from './key-set.ts';

/** Where a provider's keys come from. */
export interface KeySource {
  /** The keys; a failure when there are none, a promise while they are fetched for the first time. */
  current(): KeySet | Failure | Promise<KeySet | Failure>;
  /** Begins what runs in the background. */
  start(): void;
  stop(): void;
}

/** Keys of the configuration itself. @throws Error that names the source, when it has no usable key */
export function localKeys(source: DataSource, provider: string): KeySource {
  let keys: KeySet;
  try {
    keys = KeySet.parse(readSource(source));
  } catch (error) {
    throw new Error(`provider ${provider}: local_jwks: ${(error as Error).message}`);
  }
  return { current: () => keys, start() {}, stop() {} };
}

function readSource(source: DataSource): string {
  const { filename, inline_bytes: bytes, inline_string: text, environment_variable: variable } = source;
  if (filename !== undefined) return readFileSync(filename, 'utf8');
  if (variable === undefined) return text ?? bytes?.toString('utf8') ?? '';
  const value = process.env[variable];
  if (value === undefined) throw new Error(`the environment variable ${variable} is not set`);
  return value;
}
