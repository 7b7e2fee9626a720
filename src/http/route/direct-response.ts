import { readFileSync } from 'node:fs';
import type { DataSource } from '../../config/schema/core.ts';
import type { DirectResponseAction } from '../../config/schema/route-components.ts';
import { toWireText } from '../../matching/wire-text.ts';
import { compileSubstitutionFormat } from '../../observe/format/index.ts';
import type { StreamInfo } from '../../observe/stream-info.ts';

/** A compiled direct response. */
export interface DirectResponse {
  readonly status: number;
  /** '' leaves it to the local reply. */
  readonly contentType: string;
  /** Latin1 text, one character per byte. */
  body(info: StreamInfo): string;
}

/**
 * Compiles envoy.config.route.v3.DirectResponseAction; the body is read at load. A `body_format` may name the body
 * as %LOCAL_REPLY_BODY%.
 *
 * @throws Error for a body that cannot be read or is larger than `maxBodyBytes`; FormatError
 */
export function compileDirectResponse(config: DirectResponseAction, maxBodyBytes: number): DirectResponse {
  const body = config.body === undefined ? '' : readBody(config.body);
  if (body.length > maxBodyBytes) {
    throw new Error(`the body has ${body.length} bytes, max_direct_response_body_size_bytes allows ${maxBodyBytes}`);
  }
  if (config.body_format === undefined) return { status: config.status, contentType: '', body: () => body };
  const { format, contentType } = compileSubstitutionFormat(config.body_format);
  const context = { localReplyBody: body };
  return { status: config.status, contentType, body: (info) => format(info, context) };
}

function readBody(source: DataSource): string {
  if (source.inline_string !== undefined) return toWireText(source.inline_string);
  if (source.inline_bytes !== undefined) return source.inline_bytes.toString('latin1');
  if (source.filename !== undefined) return readFileSync(source.filename, 'latin1');
  const variable = source.environment_variable ?? '';
  const value = process.env[variable];
  if (value === undefined) throw new Error(`the environment variable ${variable} is not set`);
  return toWireText(value);
}
