import type { Command } from 'commander';
import { readOrdinary } from './run-options.ts';

/** One line of `outrigger help`, and how to get the command: each is loaded only when it is asked for. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
  /** Runs command lines that need no help, without loading commander; undefined leaves them to `load`. */
  readonly runOrdinary?: (args: readonly string[]) => Promise<number | undefined>;
}

/** The commands, in the order in which the help shows them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'demo',
    summary: 'a demo app with a sidecar in front of it, and requests to try',
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
  {
    name: 'run',
    summary: 'run the proxy, with a configuration file or for one app',
    load: async () => (await import('./run-command.ts')).runCommand(),
    runOrdinary: async (args) => {
      const flags = readOrdinary(args);
      return flags === undefined ? undefined : (await import('./run.ts')).run(flags);
    },
  },
  {
    name: 'check',
    summary: 'tell everything that is wrong with a configuration file',
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  {
    name: 'expand',
    summary: 'turn a short sidecar file into Envoy v3 configuration',
    load: async () => (await import('./expand.ts')).expandCommand(),
  },
  {
    name: 'filter',
    summary: 'write, type-check and try a filter of your own',
    load: async () => (await import('./filter.ts')).filterCommand(),
  },
  {
    name: 'policy',
    summary: 'policies of a mesh: check them, see what they become, apply them',
    load: async () => (await import('./policy.ts')).policyCommand(),
  },
  {
    name: 'plan',
    summary: 'find the fewest sidecars that enforce the policies of a call graph',
    load: async () => (await import('./plan.ts')).planCommand(),
  },
  {
    name: 'certs',
    summary: 'make, revoke and inspect identities of workloads, as SPIFFE has them',
    load: async () => (await import('./certs.ts')).certsCommand(),
  },
  {
    name: 'ratelimit',
    summary: 'serve the limits that several proxies keep together',
    load: async () => (await import('./ratelimit.ts')).ratelimitCommand(),
  },
  {
    name: 'intercept',
    summary: "send a pod's connections through the proxy: rules of iptables or nftables",
    load: async () => (await import('./intercept.ts')).interceptCommand(),
    runOrdinary: async (args) => (await import('./intercept-ordinary.ts')).runOrdinary(args),
  },
  {
    name: 'node-agent',
    summary: 'the privileged helper of a node, for sidecars that splice TCP in the kernel',
    load: async () => (await import('./node-agent.ts')).nodeAgentCommand(),
  },
  {
    name: 'bench',
    summary: 'measure Outrigger side by side with Envoy, nginx and HAProxy',
    load: async () => (await import('./bench.ts')).benchCommand(),
  },
  {
    name: 'profile',
    summary: 'take the CPU time of a proxy apart into components, from outside',
    load: async () => (await import('./profile.ts')).profileCommand(),
  },
  {
    name: 'report',
    summary: 'a page of figures and tables out of a characterization',
    load: async () => (await import('./report.ts')).reportCommand(),
  },
  {
    name: 'characterize',
    summary: 'find out what each filter costs a proxy, alone and in mixes, by load and message size',
    load: async () => (await import('./characterize.ts')).characterizeCommand(),
  },
  {
    name: 'healthcheck',
    summary: 'exit 0 when the proxy on this machine is ready',
    load: async () => (await import('./healthcheck.ts')).healthcheckCommand(),
  },
  {
    name: 'version',
    summary: 'print the versions of Outrigger and of its Node',
    load: async () => (await import('./version.ts')).versionCommand(),
  },
];
