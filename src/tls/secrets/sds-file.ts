import { readFileSync } from 'node:fs';
import { parseSource } from '../../config/document.ts';
import { formatPath } from '../../config/errors.ts';
import { BUILT_IN_TYPES } from '../../config/extensions.ts';
import { canonicalJson } from '../../config/load.ts';
import type { LoadRunConfig } from '../../config/schema/containers.ts';
import { runSchema } from '../../config/schema/schema.ts';
import { Secret, SecretFile } from '../../config/schema/secret.ts';
import { findingOf } from '../../config/validate.ts';

const SECRET_TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
const RESOURCE_TYPE = 'type.googleapis.com/envoy.service.discovery.v3.Resource';

/** A file of secrets could not be read at all. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError';
}

/** A file of secrets was read, and does not say what it must. */
export class SecretRejected extends Error {
  override readonly name = 'SecretRejected';
}

/** One kind of a secret, by its field. */
export type SecretKind = 'tls_certificate' | 'validation_context' | 'session_ticket_keys';

/** A secret with a text in which equal ones are equal. */
export interface ReadSecret {
  readonly secret: Secret;
  readonly fingerprint: string;
}

/** @throws SecretFileError */
export function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new SecretFileError((error as Error).message);
  }
}

/**
 * Finds one secret in the text of a file that holds a discovery response, in YAML or JSON.
 * @param path of the file, for errors.
 * @throws SecretFileError, SecretRejected
 */
export function parseSecret(text: string, path: string, name: string, kind: SecretKind): ReadSecret {
  const file = validated<SecretFile>(SecretFile, parse(text, path), path);
  for (const item of file.resources) {
    const fields = secretFields(item, path);
    if (fields.name !== name) continue;
    const secret = validated<Secret>(Secret, fields, `${path}: secret ${name}`);
    if (secret[kind] === undefined) throw new SecretRejected(`${path}: secret ${name} has no ${kind}`);
    return { secret, fingerprint: canonicalJson(fields) };
  }
  throw new SecretRejected(`${path} has no secret ${name}`);
}

function parse(text: string, path: string): unknown {
  const source = parseSource(text);
  if (!Array.isArray(source)) return source.data;
  const [problem] = source;
  throw new SecretFileError(`${path}:${problem?.line}: ${problem?.message}`);
}

function secretFields(item: unknown, path: string): Record<string, unknown> {
  const { '@type': type, ...fields } = ((typeof item === 'object' ? item : undefined) as Record<string, unknown>) ?? {};
  if (type === RESOURCE_TYPE) return secretFields(fields.resource, path);
  if (type !== SECRET_TYPE) throw new SecretRejected(`${path}: resources must be of @type ${SECRET_TYPE}`);
  return fields;
}

/** What secrets may extend: the validator of certificates. */
export const SECRET_EXTENSIONS: LoadRunConfig = {
  extensions: {
    find: (category, type) => BUILT_IN_TYPES[category][type],
    names: (category) => Object.keys(BUILT_IN_TYPES[category]),
  },
};

/** Validates like the configuration itself: a field that is not known is an error. */
function validated<T>(schema: Parameters<typeof runSchema>[0], value: unknown, where: string): T {
  const result = runSchema(schema, value, SECRET_EXTENSIONS);
  if (result.issues === undefined) return result.value as T;
  const problems = result.issues.map((issue) => {
    const { path, message } = findingOf(issue);
    return path.length === 0 ? message : `${formatPath(path)} ${message}`;
  });
  throw new SecretRejected(`${where}: ${problems.join('; ')}`);
}
