import { Command } from 'commander';
import { createLogger, type LogLevel } from '../observe/log.ts';
import { EXIT } from './exit-code.ts';
import { readNumber } from './serve-options.ts';
import { UsageError } from './usage-error.ts';

interface Flags {
  socket?: string;
  allowUid?: readonly string[];
  logLevel: string;
}

const TEACHING = `
Sidecars in pods have no capabilities, so they cannot make bpf maps. The node agent has CAP_BPF and CAP_NET_ADMIN, makes
them on demand, and hands their descriptors over; each sidecar gets maps of its own, and the agent keeps none.

  outrigger node-agent --socket /run/outrigger/agent.sock --allow-uid 1337
  outrigger run -c sidecar.yaml --node-agent /run/outrigger/agent.sock

docs/splice.md says what the agent trusts, and what a sidecar can do with what it gets.`;

/** `outrigger node-agent` */
export function nodeAgentCommand(): Command {
  return new Command('node-agent')
    .description('Makes the bpf maps with which sidecars without capabilities let the kernel forward TCP sessions.')
    .requiredOption('--socket <path>', 'Unix socket to listen on')
    .option('--allow-uid <uid>', 'user whose sidecars are served, 1337 unless given; may be repeated', collect)
    .option('-l, --log-level <level>', 'lowest level that is logged, info unless given', 'info')
    .addHelpText('after', TEACHING)
    .action(async (flags: Flags) => {
      process.exitCode = await runNodeAgent(flags);
    });
}

async function runNodeAgent(flags: Flags): Promise<number> {
  const allowedUids = (flags.allowUid ?? ['1337']).map((uid) => readNumber('--allow-uid', uid, 0, 0xffffffff, true));
  const log = createLogger({ level: flags.logLevel as LogLevel }).component('node-agent');
  const { NodeAgent } = await import('../kernel/node-agent.ts');
  const path = flags.socket as string;
  let agent: Awaited<ReturnType<typeof NodeAgent.listen>>;
  try {
    agent = await NodeAgent.listen({
      path,
      allowedUids,
      onRequest: ({ pid, uid }, problem) => {
        if (problem === undefined) log.info('maps handed over', { pid, uid });
        else log.warn('no maps handed over', { pid, uid, reason: problem });
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`the node agent cannot work: ${reason}`, 'it needs CAP_BPF and CAP_NET_ADMIN, and Linux 5.13');
  }
  log.info(`listening on ${path}`, { allowedUids: allowedUids.join(',') });
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  await agent.close();
  return EXIT.ok;
}

function collect(value: string, previous: readonly string[] | undefined): readonly string[] {
  return [...(previous ?? []), value];
}
