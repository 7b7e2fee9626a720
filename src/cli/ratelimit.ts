import { Command, Option } from 'commander';
import type { FailureMode } from '../ratelimit/rate-limit-service.ts';
import { parseHostPort } from './address.ts';
import { readNumber, readServeSettings } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

interface Flags {
  config?: string;
  listen: string;
  redis?: string;
  redisTimeout: string;
  onRedisFailure: FailureMode;
  admin?: string;
  logLevel?: string;
  drainTime?: string;
}

const TEACHING = `
A file of limits, as github.com/envoyproxy/ratelimit has it:

  domain: shop
  descriptors:
    - key: client               # each value of the descriptor has a counter of its own
      rate_limit: { unit: minute, requests_per_unit: 600 }
    - key: client
      value: free               # this one less
      rate_limit: { unit: minute, requests_per_unit: 60 }
    - key: path
      value: /login
      descriptors:
        - key: remote_address
          rate_limit: { unit: second, requests_per_unit: 5, name: login }

Start it, and let a proxy ask it (docs/rate-limiting.md has the whole of it):

  outrigger ratelimit --config limits.yaml --listen 127.0.0.1:8081
  outrigger ratelimit --config limits.yaml --redis redis://127.0.0.1:6379

It answers envoy.service.ratelimit.v3.RateLimitService and grpc.health.v1.Health. A change of the limits takes effect at
once, what was counted stays; a file with errors changes nothing. SIGTERM drains.`;

/** `outrigger ratelimit` */
export function ratelimitCommand(): Command {
  return new Command('ratelimit')
    .description("Serves Envoy's rate limit protocol, for Outrigger and Envoy alike: one count for all proxies.")
    .option('-c, --config <path>', 'file of limits, or a folder of such files, one domain each')
    .option('--listen <host:port>', 'where proxies connect, with gRPC in clear text', '127.0.0.1:8081')
    .option('--redis <url>', 'Redis that counts, as in redis://127.0.0.1:6379/0; without it, this process does')
    .option('--redis-timeout <ms>', 'longest time for a connection or a command', '100')
    .addOption(
      new Option(
        '--on-redis-failure <mode>',
        'what a call is told while Redis does not answer: error leaves it to each proxy',
      )
        .choices(['error', 'allow', 'deny'])
        .default('error'),
    )
    .option('--admin <host:port>', 'address of an admin server with statistics; none unless given')
    .option('-l, --log-level <level>', 'lowest level that is logged, info unless given')
    .option('--drain-time <seconds>', 'longest time to finish what runs after SIGTERM, 20 unless given')
    .addHelpText('after', TEACHING)
    .action(async (flags: Flags) => {
      process.exitCode = await serveLimits(flags);
    });
}

async function serveLimits(flags: Flags): Promise<number> {
  if (flags.config === undefined)
    throw new UsageError('no limits to keep', 'outrigger ratelimit --config FILE; --help shows one');
  const { adminAddress, drainTimeMs, logLevel } = readServeSettings(flags);
  const [{ serve }, { createLogger }, { createRateLimitServer }] = await Promise.all([
    import('./serve.ts'),
    import('../observe/log.ts'),
    import('../ratelimit/ratelimit-server.ts'),
  ]);
  const log = createLogger({ level: logLevel });
  const server = await createRateLimitServer({
    listen: parseHostPort(flags.listen, '--listen', '127.0.0.1'),
    limits: flags.config,
    redis: redisUrl(flags.redis),
    redisTimeoutMs: readNumber('--redis-timeout', flags.redisTimeout, 1, 60_000, true),
    failureMode: flags.onRedisFailure,
    log,
  });
  try {
    return await serve({
      load: () => server.load(),
      file: flags.config,
      watch: true,
      concurrency: 1,
      adminAddress,
      filterDir: undefined,
      registry: server.registry,
      drainTimeMs,
      log,
    });
  } finally {
    await server.close();
  }
}

function redisUrl(text: string | undefined): string | undefined {
  if (text === undefined || /^rediss?:\/\//.test(text)) return text;
  throw new UsageError(`--redis: '${text}' is not a URL`, 'as in redis://127.0.0.1:6379/0, or rediss:// for TLS');
}
