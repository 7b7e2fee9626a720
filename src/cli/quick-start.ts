import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { formatHostPort, parseHostPort } from './address.ts';
import type { QuickProtocol } from './run-options.ts';

export interface QuickStart {
  readonly app: string;
  readonly listen: string;
  readonly protocol: QuickProtocol;
  /** Filter modules, in order: paths or package names, `#name` behind them where a module exports several filters. */
  readonly filters: readonly string[];
}

/**
 * The sidecar file of `run --app … --listen …`, as JSON: one listener in front of one app, its access log on standard
 * output, the admin server on the usual port of the loopback.
 *
 * @throws UsageError for an address that is none.
 */
export function quickStartConfig(quick: QuickStart): string {
  const key = quick.protocol === 'tcp' ? 'network_module' : 'module';
  return JSON.stringify({
    admin: '127.0.0.1:15000',
    listen: addressOf(quick.listen, '--listen', '0.0.0.0'),
    app: addressOf(quick.app, '--app', '127.0.0.1'),
    protocol: quick.protocol,
    filters: quick.filters.map((module) => ({ [key]: place(module) })),
    access_log: 'stdout',
  });
}

/** `unix:/path` and `unix:@name` are Unix sockets. */
function addressOf(text: string, option: string, defaultHost: string): string {
  return /^unix:./.test(text) ? text : formatHostPort(parseHostPort(text, option, defaultHost));
}

/** A path becomes absolute, since a configuration from the command line lies nowhere; what is no file is a package's name. */
function place(module: string): string {
  const [path = '', exported] = module.split('#');
  const isPath = /^[./]/.test(path) || existsSync(path);
  return isPath ? resolve(path) + (exported === undefined ? '' : `#${exported}`) : module;
}
