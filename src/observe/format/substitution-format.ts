import { readFileSync } from 'node:fs';
import type { SubstitutionFormatString } from '../../config/schema/core.ts';
import type { Format } from './compile-format.ts';
import { compileFormat } from './compile-format.ts';
import { compileJsonFormat } from './compile-json-format.ts';

/** A compiled envoy.config.core.v3.SubstitutionFormatString. JSON formats end with a newline, as Envoy's do. */
export interface SubstitutionFormat {
  readonly format: Format;
  /** For a local reply's body: as configured, else by the kind of format. */
  readonly contentType: string;
}

/**
 * @throws FormatError, or the error of reading a `text_format_source` file
 */
export function compileSubstitutionFormat(config: SubstitutionFormatString): SubstitutionFormat {
  if (config.json_format !== undefined) {
    const json = compileJsonFormat(config.json_format, { omitEmptyValues: config.omit_empty_values });
    return {
      format: (info, context) => `${json(info, context)}\n`,
      contentType: config.content_type || 'application/json',
    };
  }
  const text = config.text_format ?? readText(config.text_format_source);
  return {
    format: compileFormat(text, config.omit_empty_values ? { unset: '' } : {}),
    contentType: config.content_type || 'text/plain',
  };
}

function readText(source: SubstitutionFormatString['text_format_source']): string {
  if (source?.inline_string !== undefined) return source.inline_string;
  if (source?.inline_bytes !== undefined) return source.inline_bytes.toString('utf8');
  if (source?.filename !== undefined) return readFileSync(source.filename, 'utf8');
  return process.env[source?.environment_variable ?? ''] ?? '';
}
