import { Command, InvalidArgumentError } from 'commander';
import type { Side } from '../../policies/policy.ts';
import { EXIT } from './exit-code.ts';

/** `outrigger policy`: checks policies, tells what they become, puts them into a configuration. */
export function policyCommand(): Command {
  const policy = new Command('policy')
    .description('Policies of a mesh, one small YAML each: check them, see what they become and cost, apply them.')
    .addHelpText(
      'after',
      `
A policy looks like this; several stand in one file with --- between them. docs/policies.md shows every kind.

  apiVersion: outrigger.dev/v1
  kind: AuthorizationPolicy
  metadata: { name: readers }
  spec:
    selector: { matchLabels: { app: shop } }
    action: ALLOW
    rules:
    - to: [{ operation: { methods: [GET, HEAD], paths: [/items/*] } }]

Kinds: ${KIND_NAMES}

Try it
  outrigger policy check policy.yaml
  outrigger policy explain policy.yaml
  outrigger policy apply policy.yaml --to sidecar.yaml > envoy.yaml && outrigger run -c envoy.yaml`,
    );
  policy.addCommand(checkCommand());
  policy.addCommand(explainCommand());
  policy.addCommand(applyCommand());
  return policy;
}

/** Written out, so that help needs no policies; a test compares them with the list. */
export const KIND_NAMES =
  'RequestAuthentication, Sidecar, AuthorizationPolicy, RateLimit, Tracing,\n  AccessLog, PeerAuthentication, RetryPolicy, CircuitBreaker';

function checkCommand(): Command {
  return new Command('check')
    .description('Tells everything that is wrong with policies, each problem with its line and column.')
    .argument('<files...>', 'policy files')
    .option('--side <side>', 'also whether each can be enforced there: sender or receiver', parseSide)
    .option('--json', 'problems as one JSON array on standard output')
    .addHelpText('after', '\nExit code 0: all files are good; 2: there are problems.')
    .action(async (files: string[], options: { side?: Side; json?: true }) => {
      const { checkPolicies } = await import('./policy-check.ts');
      process.exitCode = checkPolicies(files, options);
    });
}

function explainCommand(): Command {
  return new Command('explain')
    .description('Tells what policies become, on which side, what they remember and need, and what they cost.')
    .argument('<files...>', 'policy files')
    .option('--side <side>', 'of one side only: sender or receiver', parseSide)
    .option('--json', 'one JSON array, with the fragments of configuration themselves')
    .addHelpText(
      'after',
      `
Costs are CPU per request from published runs of the benchmark (docs/benchmark.json). Where nothing has been
published it says "not measured" and names the command that measures it.

Example
  outrigger policy explain examples/policies/request-authentication.yaml --side receiver`,
    )
    .action(async (files: string[], options: { side?: Side; json?: true }) => {
      const { explainFiles } = await import('./policy-explain.ts');
      process.stdout.write(explainFiles(files, options));
      process.exitCode = EXIT.ok;
    });
}

function applyCommand(): Command {
  return new Command('apply')
    .description('Prints a configuration with policies in it, in Envoy’s form, for outrigger run and for Envoy.')
    .argument('<files...>', 'policy files')
    .requiredOption('--to <file>', 'sidecar file or Envoy bootstrap; - reads standard input')
    .option(
      '--side <side>',
      'what the configuration is: sender or receiver; without it, each policy on its usual side',
      parseSide,
    )
    .option(
      '--labels <labels>',
      'of the workload, app=shop,version=v1: policies that select others are left out',
      parseLabels,
    )
    .option('--listener <names>', 'only these listeners, by comma', (text) => text.split(','))
    .option('--json', 'JSON in place of YAML')
    .option('--limits <file>', 'write what the rate-limit service needs to know')
    .addHelpText(
      'after',
      `
Policies set what the file leaves open; where the file or another policy has said something else, it is an error.
Their filters stand in front of the file's own: scope, authentication, deny, allow, limit.

Exit code 2: a policy is wrong, cannot be enforced on that side, or does not fit the file; nothing is printed.

Examples
  outrigger policy apply policies.yaml --to sidecar.yaml > envoy.yaml
  outrigger policy apply mtls.yaml --side sender --to client.yaml | outrigger policy apply log.yaml --to -`,
    )
    .action(async (files: string[], options: ApplyOptions) => {
      const { applyFiles } = await import('./policy-apply.ts');
      process.stdout.write(applyFiles(files, options));
    });
}

export interface ApplyOptions {
  readonly to: string;
  readonly side?: Side;
  readonly labels?: Readonly<Record<string, string>>;
  readonly listener?: readonly string[];
  readonly json?: true;
  readonly limits?: string;
}

function parseSide(text: string): Side {
  if (text === 'sender' || text === 'receiver') return text;
  throw new InvalidArgumentError('It is sender or receiver.');
}

function parseLabels(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('=').map((part) => part.trim()));
  if (pairs.some(({ length, 0: key }) => length !== 2 || key === ''))
    throw new InvalidArgumentError('It looks like app=shop,version=v1.');
  const twice = pairs.find(([key], at) => pairs.findIndex(([other]) => other === key) < at);
  if (twice !== undefined) throw new InvalidArgumentError(`A workload has one label ${twice[0]}.`);
  return Object.fromEntries(pairs);
}
