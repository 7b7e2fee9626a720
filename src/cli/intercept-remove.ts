import { planRemoval, remove } from '../intercept/remove.ts';
import { EXIT } from './exit-code.ts';
import type { InterceptFlags } from './intercept-flags.ts';
import { orFailure, printPlan } from './intercept-rules.ts';

/** `outrigger intercept remove` */
export async function removeRules(flags: InterceptFlags): Promise<number> {
  return orFailure(async () => {
    if (flags.dryRun === true) {
      printPlan(await planRemoval());
      return EXIT.ok;
    }
    const removed = await remove();
    process.stdout.write(
      removed.length === 0 ? 'there was nothing to remove\n' : `interception is removed: ${removed.join(', ')}\n`,
    );
    return EXIT.ok;
  });
}
