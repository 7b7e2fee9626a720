import { type Active, show } from '../intercept/show.ts';
import { EXIT } from './exit-code.ts';
import type { InterceptFlags } from './intercept-flags.ts';
import { orFailure } from './intercept-rules.ts';

/** `outrigger intercept show` */
export async function showRules(flags: InterceptFlags): Promise<number> {
  return orFailure(async () => {
    const { active, problems } = await show();
    if (flags.json === true) {
      const installed = active.map(({ rules, ...rest }) => ({
        ...rest,
        rules: rules.map(({ rule: _rule, ...shown }) => shown),
      }));
      process.stdout.write(`${JSON.stringify({ installed, problems }, undefined, 2)}\n`);
    } else {
      process.stdout.write(active.map(activeText).join('\n'));
      for (const problem of problems) process.stderr.write(`outrigger: ${problem}\n`);
    }
    return problems.length === 0 ? EXIT.ok : EXIT.failure;
  });
}

function activeText({ backend, mode, families, rules }: Active): string {
  const lines = [`interception by ${backend}: ${mode}, ${families.map((family) => `IPv${family}`).join(' and ')}`];
  const width = Math.max(...rules.map(({ meaning }) => meaning.length));
  let heading = '';
  for (const { family, table, chain, packets, meaning, text } of rules) {
    const place = `IPv${family} ${table} ${chain}`;
    if (place !== heading) lines.push('', place);
    heading = place;
    lines.push(`${String(packets).padStart(8)}  ${(meaning || 'not of an installation').padEnd(width)}  ${text}`);
  }
  return `${lines.join('\n')}\n`;
}
