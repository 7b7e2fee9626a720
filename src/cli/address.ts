import { UsageError } from './usage-error.ts';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads `HOST:PORT`, `[v6]:PORT`, `:PORT` or `PORT`; without a host it is `defaultHost`. Port 0 asks for any free port.
 *
 * @throws UsageError that names the option and the format.
 */
export function parseHostPort(text: string, option: string, defaultHost: string): HostPort {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new UsageError(
      `${option}: '${text}' is not an address`,
      'expected HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or :8080',
    );
  }
  return { host: match[1] ?? (match[2] || defaultHost), port };
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
