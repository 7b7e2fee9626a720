import { INTERCEPT_OPTIONS, type InterceptFlags, type InterceptVerb, readFlags } from './intercept-flags.ts';

/** Runs ordinary command lines of `outrigger intercept`; undefined leaves one to commander. */
export async function runOrdinary([verb = '', ...args]: readonly string[]): Promise<number | undefined> {
  if (!Object.hasOwn(INTERCEPT_OPTIONS, verb)) return undefined;
  const flags = readFlags(args, INTERCEPT_OPTIONS[verb as InterceptVerb]);
  return flags === undefined ? undefined : runVerb(verb as InterceptVerb, flags);
}

/** Each loads what it needs alone: an init container installs, and the pod waits for it. */
export async function runVerb(verb: InterceptVerb, flags: InterceptFlags): Promise<number> {
  switch (verb) {
    case 'install':
      return (await import('./intercept-rules.ts')).installRules(flags);
    case 'remove':
      return (await import('./intercept-remove.ts')).removeRules(flags);
    case 'show':
      return (await import('./intercept-show.ts')).showRules(flags);
    case 'check':
      return (await import('./intercept-check.ts')).checkRules(flags);
  }
}
