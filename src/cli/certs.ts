import { Command, InvalidArgumentError, Option } from 'commander';
import { DAY_MS, parseTtl } from './certs-ttl.ts';

/** `outrigger certs`: an authority of a trust domain, identities of workloads, and what is in a certificate. */
export function certsCommand(): Command {
  const certs = new Command('certs')
    .description('Make an authority and the identities (SPIFFE X.509-SVIDs) of workloads, for tests and small meshes.')
    // Before its commands are made: they inherit it.
    .exitOverride()
    .addHelpText(
      'after',
      `
An authority vouches for one trust domain. An SVID names one workload in it: spiffe://<trust domain>/<path>. Who has the
bundle (the authority's certificate) can tell them from all others.

Examples
  outrigger certs ca --trust-domain shop.test --out ca
  outrigger certs svid --ca ca --spiffe-id spiffe://shop.test/cart --dns cart.shop.test --out cart
  outrigger certs crl --ca ca --revoke cart/svid.pem
  outrigger certs show cart/svid.pem

Keys are readable by you alone (0600). Nothing is overwritten without --force. docs/identity.md shows the configuration.`,
    );

  certs
    .command('ca')
    .description('Make an authority: ca.pem, ca-key.pem, and bundle.json for trust_bundles of the SPIFFE validator.')
    .requiredOption('--trust-domain <name>', 'the trust domain that it vouches for: shop.test')
    .requiredOption('--out <folder>', 'where to write')
    .addOption(ttlOption('how long it is valid: 90s, 12h, 30d', 3650))
    .addOption(keyType())
    .option('--force', 'replace what is there')
    .action(async (options: { trustDomain: string; out: string; ttl: number; key: KeyChoice; force?: true }) => {
      const { makeAuthority } = await import('./certs-files.ts');
      process.stdout.write(await makeAuthority({ ...options, force: options.force === true }));
    });

  certs
    .command('svid')
    .description('Make the identity of a workload: svid.pem, svid-key.pem, and bundle.pem, whom it shall believe.')
    .requiredOption('--ca <folder>', 'the authority, as certs ca wrote it')
    .requiredOption('--spiffe-id <id>', 'who it is: spiffe://shop.test/cart')
    .requiredOption('--out <folder>', 'where to write')
    .option('--dns <name>', 'a host name that it may serve; may be given again', collect, [] as string[])
    .option('--ip <address>', 'an address that it may serve; may be given again', collect, [] as string[])
    .addOption(ttlOption('how long it is valid: 90s, 12h, 30d', 1))
    .addOption(keyType())
    .option('--force', 'replace what is there, as at a rotation')
    .addHelpText(
      'after',
      `
A proxy that runs takes files that are replaced for its next handshake; connections that are open stay.`,
    )
    .action(async (options: SvidOptions) => {
      const { makeSvid } = await import('./certs-files.ts');
      process.stdout.write(await makeSvid({ ...options, force: options.force === true }));
    });

  certs
    .command('crl')
    .description('Write crl.pem, the list of certificates of an authority that are not to be believed any more.')
    .requiredOption('--ca <folder>', 'the authority')
    .option('--revoke <file>', 'a certificate to put on the list; may be given again', collect, [] as string[])
    .addOption(ttlOption('when the next list is due; this one counts for nothing then', 7))
    .addHelpText('after', '\nWhat is on the list stays there: it is kept in revoked.json beside it.')
    .action(async (options: { ca: string; revoke: string[]; ttl: number }) => {
      const { makeRevocationList } = await import('./certs-files.ts');
      process.stdout.write(await makeRevocationList(options));
    });

  certs
    .command('show')
    .description(
      'Tell what is in a PEM file: who it is, who vouches, until when, and the hashes that configurations pin.',
    )
    .argument('<file>', 'certificates in PEM')
    .option('--json', 'one JSON array instead of text')
    .action(async (file: string, options: { json?: true }) => {
      const { showCertificates } = await import('./certs-show.ts');
      process.stdout.write(showCertificates(file, options.json === true));
    });

  return certs;
}

type KeyChoice = 'ecdsa' | 'rsa';

interface SvidOptions {
  readonly ca: string;
  readonly spiffeId: string;
  readonly out: string;
  readonly dns: string[];
  readonly ip: string[];
  readonly ttl: number;
  readonly key: KeyChoice;
  readonly force?: true;
}

function keyType(): Option {
  return new Option('--key <kind>', 'ecdsa is P-256, rsa has 2048 bits').choices(['ecdsa', 'rsa']).default('ecdsa');
}

function ttlOption(text: string, defaultDays: number): Option {
  return new Option('--ttl <time>', text).argParser(ttl).default(defaultDays * DAY_MS, `${defaultDays}d`);
}

function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

function ttl(text: string): number {
  const ms = parseTtl(text);
  if (ms === undefined) throw new InvalidArgumentError('Write a number and s, m, h or d, such as 12h.');
  return ms;
}
