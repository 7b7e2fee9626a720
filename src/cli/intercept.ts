import { Command, Option } from 'commander';
import { INTERCEPT_OPTIONS, type InterceptFlags, type InterceptVerb } from './intercept-flags.ts';
import { runVerb } from './intercept-ordinary.ts';

/** `outrigger intercept`, for its help and for command lines that are not ordinary. */
export function interceptCommand(): Command {
  const intercept = new Command('intercept')
    .description("Sends a pod's connections through the proxy, without the app knowing: rules of iptables or nftables.")
    // Before its commands are made: they inherit it.
    .exitOverride()
    .addHelpText(
      'after',
      `
All of it acts on the network namespace that it runs in, and needs the capabilities NET_ADMIN and NET_RAW, as root.

  outrigger intercept install                                      everything goes through the proxy
  outrigger intercept install --exclude-outbound-ports 3306,6379   but what goes to these ports
  outrigger intercept show                                         the rules, with what they have caught
  outrigger intercept check                                        opens connections: which rule takes which
  outrigger intercept remove                                       as if it had never been

docs/interception.md tells what each rule is for. Exit codes: 0 done, 1 failed, 2 the command line is wrong.`,
    );
  for (const verb of Object.keys(INTERCEPT_OPTIONS) as InterceptVerb[]) {
    const { description, after } = TEXTS[verb];
    const command = intercept.command(verb).description(description);
    for (const { flags, help, choices } of optionsOf(verb)) {
      const option = new Option(flags, help).hideHelp(help === '');
      if (choices !== undefined) option.choices(choices);
      command.addOption(option);
    }
    command.addHelpText('after', after).action(async (flags: InterceptFlags) => {
      process.exitCode = await runVerb(verb, flags);
    });
  }
  return intercept;
}

function optionsOf(verb: InterceptVerb): readonly { flags: string; help: string; choices?: readonly string[] }[] {
  return INTERCEPT_OPTIONS[verb];
}

const TEXTS: Readonly<Record<InterceptVerb, { description: string; after: string }>> = {
  install: {
    description: 'Brings the rules in. Run again, it makes the same of whatever is there; it is whole or not at all.',
    after: `
Every option may stand in the environment too, as OUTRIGGER_EXCLUDE_OUTBOUND_PORTS, or under the name that
istio-iptables gives it; and what a pod may choose, in its annotations: traffic.sidecar.istio.io/excludeOutboundPorts
or outrigger.dev/excludeOutboundPorts. The command line goes before the environment, and that before annotations.

Examples
  outrigger intercept install --dry-run
  outrigger intercept install --inbound-ports 8080,9090 --exclude-outbound-ranges 169.254.169.254/32
  outrigger intercept install --annotations /etc/podinfo/annotations
  outrigger intercept install -p 15001 -z 15006 -u 1337 -m REDIRECT -i '*' -x '' -b '*' -d 15090,15021,15020`,
  },
  remove: {
    description: 'Takes out all that an installation has made, half of one included, and nothing else.',
    after: '',
  },
  show: {
    description: 'Tells the rules that are active, what each is for, and how many packets it has caught.',
    after: `
Of a connection, nat sees the first packet only: its figures are connections.
Exit code 1: nothing is installed, or not the whole of it.`,
  },
  check: {
    description: 'Opens connections, and says for each which rule takes it, and whether that is what was meant.',
    after: `
Give it the options that the rules were installed with. Who took a connection is read from the counters of the rules.
What comes in is tried by a test interface, made for that time. As the proxy's user it connects only where it may become
that one (SETUID and SETGID, beside NET_ADMIN and NET_RAW); it says what it could not try.

Exit code 1: a connection goes another way than it should, or the rules are not those of the options.`,
  },
};
