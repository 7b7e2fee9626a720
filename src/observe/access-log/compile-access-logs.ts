import type { AccessLog, FileAccessLog, StreamAccessLog } from '../../config/schema/access-log.ts';
import type { Format } from '../format/compile-format.ts';
import { compileFormat, DEFAULT_FORMAT } from '../format/compile-format.ts';
import { compileJsonFormat } from '../format/compile-json-format.ts';
import { compileSubstitutionFormat } from '../format/substitution-format.ts';
import type { StreamInfo } from '../stream-info.ts';
import type { LogCondition } from './access-log-filter.ts';
import { compileLogFilter } from './access-log-filter.ts';
import type { LogSink, SinkEnv } from './sink.ts';
import { openSink } from './sink.ts';

/** All access logs of one listener, connection manager or TCP proxy. */
export interface AccessLogger {
  /** Logs a stream that is over; its figures must be final. */
  log(info: StreamInfo): void;
  /** The configuration is gone: what waits is written, and files that nobody else uses are closed. */
  dispose(): void;
}

interface CompiledLog {
  readonly accepts: LogCondition | undefined;
  readonly format: Format;
  readonly sink: LogSink;
}

const STDOUT = 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
const STDERR = 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog';
const FILE = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';

const SILENT: AccessLogger = { log: () => {}, dispose: () => {} };

/**
 * Compiles access logs and opens their files.
 *
 * @throws FormatError, RegexError, or an Error for a logger type that does not exist here
 */
export function compileAccessLogs(configs: readonly AccessLog[], env: SinkEnv): AccessLogger {
  if (configs.length === 0) return SILENT;
  // Everything that can fail is compiled before the first file is opened.
  const parts = configs.map((config) => ({
    accepts: config.filter === undefined ? undefined : compileLogFilter(config.filter),
    format: compileLineFormat(config),
    path: pathOf(config),
  }));
  const logs = parts.map(({ accepts, format, path }): CompiledLog => ({ accepts, format, sink: openSink(path, env) }));
  const dispose = (): void => {
    for (const { sink } of logs) void sink.close();
  };
  const [only, ...others] = logs as [CompiledLog, ...CompiledLog[]];
  if (others.length === 0) return { log: logOne(only), dispose };
  const log = (info: StreamInfo): void => {
    for (const { accepts, format, sink } of logs) {
      if (accepts === undefined || accepts(info)) sink.write(format(info));
    }
  };
  return { log, dispose };
}

function logOne({ accepts, format, sink }: CompiledLog): (info: StreamInfo) => void {
  if (accepts === undefined) return (info) => sink.write(format(info));
  return (info) => {
    if (accepts(info)) sink.write(format(info));
  };
}

function pathOf(config: AccessLog): string {
  switch (config.typed_config.type) {
    case STDOUT:
      return '/dev/stdout';
    case STDERR:
      return '/dev/stderr';
    case FILE:
      return (config.typed_config.value as FileAccessLog).path;
    default:
      throw new Error(`access log ${config.name}: type ${config.typed_config.type} is not available`);
  }
}

function compileLineFormat(config: AccessLog): Format {
  const value = config.typed_config.value as Partial<FileAccessLog> & StreamAccessLog;
  if (value.log_format !== undefined) return compileSubstitutionFormat(value.log_format).format;
  const json = value.typed_json_format ?? value.json_format;
  if (json !== undefined) {
    const format = compileJsonFormat(json);
    return (info, context) => `${format(info, context)}\n`;
  }
  return compileFormat(value.format || DEFAULT_FORMAT);
}
