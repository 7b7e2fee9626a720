import { check, type Finding } from '../intercept/check.ts';
import { EXIT } from './exit-code.ts';
import type { InterceptFlags } from './intercept-flags.ts';
import { orFailure, rulesMeant } from './intercept-rules.ts';

/** `outrigger intercept check` */
export async function checkRules(flags: InterceptFlags): Promise<number> {
  return orFailure(async () => {
    const options = rulesMeant(flags);
    if (options === undefined) return EXIT.usage;
    const { backend, findings, problems, notes } = await check(options);
    const wrong = findings.filter(isWrong);
    if (flags.json === true) {
      process.stdout.write(
        `${JSON.stringify({ backend, connections: findings.map(plain), problems, notes }, undefined, 2)}\n`,
      );
    } else {
      const width = Math.max(0, ...findings.map((finding) => what(finding).length));
      for (const finding of findings) process.stdout.write(`${line(finding, width)}\n`);
      for (const problem of [...problems, ...notes]) process.stderr.write(`outrigger: ${problem}\n`);
      const skipped = findings.filter(({ skipped }) => skipped !== undefined).length;
      const rest = `${wrong.length} of ${findings.length} connections went another way than they should`;
      process.stdout.write(`${rest}${skipped === 0 ? '' : `, ${skipped} could not be tried`}\n`);
    }
    return wrong.length + problems.length === 0 ? EXIT.ok : EXIT.failure;
  });
}

function isWrong({ found, probe }: Finding): boolean {
  return found !== undefined && found !== probe.expected;
}

const WAYS = { outbound: 'to the proxy, outbound', inbound: 'to the proxy, inbound', direct: 'left alone' } as const;

function wayText(way: NonNullable<Finding['found']>): string {
  return way in WAYS ? WAYS[way as keyof typeof WAYS] : `to ${way}`;
}

function what({ probe }: Finding): string {
  const { family, destination, port } = probe;
  return `${probe.title}: ${family === 6 ? `[${destination}]` : destination}:${port}`;
}

function line(finding: Finding, width: number): string {
  const { probe, found, rule, met, skipped } = finding;
  const head = what(finding).padEnd(width);
  if (found === undefined) return `skip  ${head}  ${skipped}`;
  const by = rule === undefined ? 'no rule takes it' : `${rule.chain}: ${rule.text}`;
  const answer = met === 'refused' && found !== 'direct' ? '; nobody listens there' : '';
  const way = wayText(found).padEnd(22);
  if (isWrong(finding)) return `FAIL  ${head}  ${way}  ${by}; it should be: ${wayText(probe.expected)}`;
  return `ok    ${head}  ${way}  ${by}${answer}`;
}

function plain({ probe, found, rule, meaning, met, skipped }: Finding): object {
  const { title, family, destination, port, source, as, expected } = probe;
  return {
    ok: found === undefined ? null : found === expected,
    title,
    family,
    destination,
    port,
    source,
    as,
    expected,
    found,
    met,
    skipped,
    ...(rule !== undefined && { rule: { table: rule.table, chain: rule.chain, text: rule.text, meaning } }),
  };
}
