import { readFileSync } from 'node:fs';
import { parseAnnotations } from '../intercept/annotations.ts';
import type { PlannedInput } from '../intercept/backend.ts';
import { type HostOptions, install, planInstall } from '../intercept/install.ts';
import type { InterceptOptions } from '../intercept/options.ts';
import { readOptions } from '../intercept/read-options.ts';
import { EXIT } from './exit-code.ts';
import { type InterceptFlags, ruleTexts } from './intercept-flags.ts';

/** `outrigger intercept install` */
export async function installRules(flags: InterceptFlags): Promise<number> {
  return orFailure(async () => {
    const options = rulesMeant(flags);
    if (options === undefined) return EXIT.usage;
    const host = { backend: flags.backend ?? 'auto', ipv6: flags.ipv6 ?? 'auto' } as HostOptions;
    if (flags.dryRun === true) {
      printPlan(await planInstall(options, host));
      return EXIT.ok;
    }
    const { backend, families, warnings } = await install(options, host);
    for (const warning of warnings) process.stderr.write(`outrigger: ${warning}\n`);
    const which = families.length === 2 ? 'IPv4 and IPv6' : 'IPv4';
    process.stdout.write(
      `interception is in place: ${options.mode} by ${backend}, ${which}, outbound to ${options.outboundPort}, inbound to ${options.inboundPort}\n`,
    );
    return EXIT.ok;
  });
}

/** What the command line, the environment and the annotations ask for; undefined once their problems are told. */
export function rulesMeant(flags: InterceptFlags): InterceptOptions | undefined {
  const file = flags.annotations;
  const { values, problems: unread } = typeof file === 'string' ? readAnnotations(file) : NO_ANNOTATIONS;
  const { options, problems } = readOptions({ flags: ruleTexts(flags), env: process.env, annotations: values });
  const all = [...unread, ...problems];
  for (const problem of all) process.stderr.write(`outrigger: ${problem}\n`);
  return all.length === 0 ? options : undefined;
}

const NO_ANNOTATIONS = { values: new Map<string, string>(), problems: [] as string[] };

function readAnnotations(file: string): typeof NO_ANNOTATIONS {
  try {
    const { values, problems } = parseAnnotations(readFileSync(file, 'utf8'));
    return { values: new Map(values), problems: problems.map((problem) => `${file}: ${problem}`) };
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message;
    return { ...NO_ANNOTATIONS, problems: [`--annotations: ${file}: ${why}`] };
  }
}

export function printPlan(plan: readonly PlannedInput[]): void {
  for (const { command, text } of plan) process.stdout.write(`# ${command}\n${text.trimEnd()}\n`);
}

/** Tells a failure and its remedy. */
export async function orFailure(action: () => Promise<number>): Promise<number> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'InterceptError') throw error;
    const { hint } = error as Error & { hint?: string };
    process.stderr.write(`outrigger: ${error.message}\n${hint === undefined ? '' : `  ${hint}\n`}`);
    return EXIT.failure;
  }
}
