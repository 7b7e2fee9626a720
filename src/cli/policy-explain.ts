import { costLines, costOf } from '../../bench/report/figures.ts';
import { type Explanation, explainPolicy, type OnSide, type Part } from '../../policies/explain.ts';
import { readPolicies } from '../../policies/file.ts';
import type { PolicySemantics, Side } from '../../policies/policy.ts';

/** `outrigger policy explain`: words and tables, or JSON. @throws ConfigError */
export function explainFiles(files: readonly string[], options: { side?: Side; json?: true }): string {
  const found = files.flatMap((file) => readPolicies(file)).map((policy) => explainPolicy(policy, options.side));
  if (options.json === true) return `${JSON.stringify(found.map(withCosts), undefined, 2)}\n`;
  return found.map(explanationText).join('\n');
}

function withCosts(explanation: Explanation): object {
  const sides = explanation.sides.map((one) => ({
    ...one,
    parts: one.parts.map((part) => ({ ...part, ...(part.costs === undefined ? {} : { cost: costOf(part.costs) }) })),
  }));
  return { ...explanation, sides };
}

function explanationText(explanation: Explanation): string {
  const { semantics, selector } = explanation;
  const workloads =
    selector === undefined || Object.keys(selector).length === 0
      ? 'every workload'
      : `workloads with ${Object.entries(selector)
          .map(([key, value]) => `${key}=${value}`)
          .join(', ')}`;
  const facts: [string, string][] = [
    ['holds for', workloads],
    ['where', placeText(semantics)],
    ['reads', `${semantics.input}; answers ${semantics.output === 'none' ? 'nothing' : semantics.output}`],
    ['pure', semantics.pure ? 'yes: the same input always has the same outcome' : 'no: what went before counts'],
    ['state', stateText(semantics)],
    ['payload', semantics.payload === 'none' ? 'not needed' : 'kept up to the buffer limit, to be sent again'],
  ];
  return [
    `${explanation.policy}  (${explanation.file}:${explanation.line})`,
    `  ${explanation.summary}; policy ${semantics.paper} of the serverless paper's tables`,
    '',
    ...facts.map(([name, text]) => `  ${name.padEnd(10)}${text}`),
    ...sameSides(explanation.sides).flatMap(sideLines),
    '',
  ].join('\n');
}

function placeText({ placement, usualSide }: PolicySemantics): string {
  switch (placement) {
    case 'either':
      return `at the receiver, or at all of its senders; usually at the ${usualSide}`;
    case 'both':
      return 'at both ends: each has its part';
    default:
      return `at the ${placement} only`;
  }
}

function stateText({ state }: PolicySemantics): string {
  const where = { none: 'none', process: 'in the process', mesh: 'for the whole mesh' }[state.kept];
  return state.what === '' ? where : `${where}; ${state.what}`;
}

/** A policy that is the same on both sides is told once. */
function sameSides(sides: readonly OnSide[]): (Omit<OnSide, 'side'> & { readonly side: string })[] {
  const [first, second] = sides;
  if (first === undefined || second === undefined || JSON.stringify(first.parts) !== JSON.stringify(second.parts))
    return [...sides];
  return [{ ...first, side: `${second.side}, as at the ${first.side},` }];
}

function sideLines({ side, refusal, parts }: Omit<OnSide, 'side'> & { readonly side: string }): string[] {
  if (refusal !== undefined) return ['', `  at the ${side}: not possible: ${refusal}`];
  const rows = parts.map((part) => [part.what, part.name, part.fields.join(', ')] as const);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  return [
    '',
    `  at the ${side} it becomes`,
    ...rows.map(([what, name, fields]) =>
      `    ${what.padEnd(widths[0]!)}  ${name.padEnd(widths[1]!)}  ${fields}`.trimEnd(),
    ),
    '  and costs',
    ...costsOf(parts),
  ];
}

function costsOf(parts: readonly Part[]): string[] {
  const names = new Set(parts.flatMap(({ costs }) => (costs === undefined ? [] : [costs])));
  if (names.size === 0) return ['    nothing by itself'];
  return [...names].flatMap((name) => costLines(name, costOf(name)).map((line) => `    ${line.replaceAll('`', '')}`));
}
