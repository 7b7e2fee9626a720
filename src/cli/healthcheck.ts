import { get } from 'node:http';
import { Command } from 'commander';
import { formatHostPort, type HostPort, parseHostPort } from './address.ts';
import { EXIT } from './exit-code.ts';
import { UsageError } from './usage-error.ts';

/** `outrigger healthcheck`: for images without a shell or curl, and for scripts that wait for the proxy. */
export function healthcheckCommand(): Command {
  return new Command('healthcheck')
    .description('Asks the admin server of a running proxy whether it is ready: exit 0 when it is, 1 when not.')
    .option('--admin <host:port>', 'address of the admin server', '127.0.0.1:15000')
    .option('--timeout <seconds>', 'longest time to wait for the answer', '2')
    .action(async (options: { admin: string; timeout: string }) => {
      const timeoutMs = Number(options.timeout) * 1000;
      if (!(timeoutMs > 0)) throw new UsageError(`--timeout: '${options.timeout}' is not a number of seconds above 0`);
      const address = parseHostPort(options.admin, '--admin', '127.0.0.1');
      const problem = await readinessProblem(address, timeoutMs);
      if (problem === undefined) return;
      process.stderr.write(`outrigger: not ready: ${problem}\n`);
      process.exitCode = EXIT.failure;
    });
}

/** Why the proxy is not ready; undefined when it is. */
export function readinessProblem(admin: HostPort, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ host: admin.host, port: admin.port, path: '/ready', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? undefined : `/ready answers ${response.statusCode}`);
    });
    request.setTimeout(timeoutMs, () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on('error', (error: NodeJS.ErrnoException) => {
      const where = formatHostPort(admin);
      resolve(error.code === 'ECONNREFUSED' ? `nothing listens on ${where}` : `${where}: ${error.message}`);
    });
  });
}
