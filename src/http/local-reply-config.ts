import { readFileSync } from 'node:fs';
import type { DataSource } from '../config/schema/core.ts';
import type { LocalReplyConfig, ResponseMapper } from '../config/schema/http-connection-manager.ts';
import { toWireText } from '../matching/wire-text.ts';
import { compileLogFilter, type LogCondition } from '../observe/access-log/access-log-filter.ts';
import { compileSubstitutionFormat, type SubstitutionFormat } from '../observe/format/substitution-format.ts';
import type { ResponseHead } from './message.ts';
import { compileHeaderMutations } from './route/header-mutations.ts';
import type { StreamCore } from './stream-core.ts';

/** Body and type that replace those of a local reply. */
export interface RewrittenReply {
  readonly body: string;
  readonly contentType: string;
}

/** Applies `local_reply_config` to a reply: the first mapper whose filter matches, then the body format. */
export type LocalReplyRewriter = (stream: StreamCore, head: ResponseHead, body: string) => RewrittenReply;

interface CompiledMapper {
  readonly matches: LogCondition;
  readonly status: number | undefined;
  readonly body: string | undefined;
  readonly format: SubstitutionFormat | undefined;
  readonly mutate: ((head: ResponseHead, stream: StreamCore) => void) | undefined;
}

/** @throws FormatError, or the error of reading a body's file */
export function compileLocalReplies(config: LocalReplyConfig | undefined): LocalReplyRewriter | undefined {
  if (config === undefined) return undefined;
  const mappers = config.mappers.map(compileMapper);
  const format = config.body_format === undefined ? undefined : compileSubstitutionFormat(config.body_format);
  return (stream, head, body) => {
    const mapper = mappers.find((candidate) => candidate.matches(stream));
    // The headers still see the status that is replaced.
    mapper?.mutate?.(head, stream);
    if (mapper?.status !== undefined) {
      head.status = mapper.status;
      stream.responseCode = mapper.status;
    }
    const text = mapper?.body ?? body;
    const applied = mapper?.format ?? format;
    if (applied === undefined) return { body: text, contentType: 'text/plain' };
    return { body: applied.format(stream, { localReplyBody: text }), contentType: applied.contentType };
  };
}

function compileMapper(config: ResponseMapper): CompiledMapper {
  return {
    matches: compileLogFilter(config.filter),
    status: config.status_code,
    body: config.body === undefined ? undefined : readText(config.body),
    format:
      config.body_format_override === undefined ? undefined : compileSubstitutionFormat(config.body_format_override),
    mutate: config.headers_to_add.length === 0 ? undefined : compileHeaderMutations(config.headers_to_add, []),
  };
}

/** Latin1 text, one character per byte. */
function readText(source: DataSource): string {
  if (source.inline_string !== undefined) return toWireText(source.inline_string);
  if (source.inline_bytes !== undefined) return source.inline_bytes.toString('latin1');
  if (source.filename !== undefined) return readFileSync(source.filename, 'latin1');
  return toWireText(process.env[source.environment_variable ?? ''] ?? '');
}
