import type { CustomTag } from '../../config/schema/tracing.ts';
import type { HttpStream } from '../../filter/http.ts';
import { compileFormat } from '../format/compile-format.ts';
import { objectToJson, toByteString } from '../format/escape.ts';
import type { StreamInfo } from '../stream-info.ts';

/** A tag that the configuration adds to spans. An empty value leaves the tag out. */
export interface TagSource {
  readonly name: string;
  read(info: StreamInfo): string;
}

/** @throws FormatError */
export function compileCustomTag(config: CustomTag): TagSource {
  const name = toByteString(config.tag);
  if (config.literal !== undefined) return constant(name, config.literal.value);
  if (config.environment !== undefined) {
    const { name: variable, default_value: fallback } = config.environment;
    return constant(name, process.env[variable] ?? fallback);
  }
  if (config.request_header !== undefined) {
    const header = config.request_header.name.toLowerCase();
    const fallback = toByteString(config.request_header.default_value);
    // Of several lines the first, as in Envoy.
    return { name, read: (info) => info.request?.getAll(header)[0] ?? info.request?.get(header) ?? fallback };
  }
  if (config.metadata !== undefined) return metadataTag(name, config.metadata);
  const format = compileFormat(config.value ?? '', { unset: '' });
  return { name, read: (info) => format(info) };
}

function constant(name: string, text: string): TagSource {
  const value = toByteString(text);
  return { name, read: () => value };
}

function metadataTag(name: string, config: NonNullable<CustomTag['metadata']>): TagSource {
  const { key, path } = config.metadata_key;
  const [first = '', ...rest] = path.map((segment) => segment.key);
  const fallback = toByteString(config.default_value);
  const ofRoute = config.kind.route !== undefined;
  return {
    name,
    read: (info) => {
      let value: unknown = ofRoute
        ? (info as Partial<HttpStream>).route?.metadata[key]?.[first]
        : info.getMetadata(key, first);
      for (const step of rest) value = valueAt(value, step);
      return textOf(value) ?? fallback;
    },
  };
}

function valueAt(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as Record<string, unknown>)[key];
}

/** Text, numbers and truth values as they are, the rest as JSON. */
function textOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return toByteString(value);
    case 'number':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? undefined : objectToJson(value);
    default:
      return undefined;
  }
}
