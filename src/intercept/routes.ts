import { failure } from './failure.ts';
import { InterceptError } from './intercept-error.ts';
import type { InterceptOptions } from './options.ts';
import { findProgram, type Outcome, runProgram } from './program.ts';
import type { Family } from './rule.ts';
import { takesInboundBy } from './rule-set.ts';

/**
 * What interception needs beside rules of netfilter, all by `ip` of iproute2:
 *
 * - the address ::6 on the loopback, from which the proxy calls its app over IPv6 (127.0.0.6 is there by itself);
 * - for TPROXY, a routing table that delivers marked packets here, whatever address they have.
 */
export class Routes {
  readonly #ip: string;

  private constructor(ip: string) {
    this.#ip = ip;
  }

  static find(): Routes | undefined {
    const path = findProgram('ip');
    return path === undefined ? undefined : new Routes(path);
  }

  /** Makes them; what is there already stays. */
  async install(options: InterceptOptions, families: readonly Family[]): Promise<void> {
    await Promise.all(
      families.map(async (family) => {
        const commands = routeCommands(options, family);
        if (takesInboundBy(options, 'tproxy')) {
          const there = await this.#count(family, options);
          // `ip rule add` knows no `replace`, and doubles would need as many deletions.
          if (there > 0) commands.splice(commands.indexOf(ruleCommand('add', options)), 1);
          for (let i = 1; i < there; i++) commands.push(ruleCommand('del', options));
        }
        if (commands.length > 0) await this.#batch(family, commands);
      }),
    );
  }

  /** Takes out what `install` may have made. */
  async remove(options: InterceptOptions, families: readonly Family[]): Promise<boolean> {
    const removed = await Promise.all(
      families.map(async (family) => {
        const commands: string[] = [];
        for (let i = await this.#count(family, options); i > 0; i--) commands.push(ruleCommand('del', options));
        if (await this.#hasRoute(family, options)) commands.push(routeCommand('del', family, options));
        if (family === 6 && (await this.#hasSource())) commands.push('addr del ::6/128 dev lo');
        if (commands.length > 0) await this.#batch(family, commands);
        return commands.length > 0;
      }),
    );
    return removed.includes(true);
  }

  /** How often the rule is there that sends marked packets to the table. */
  async #count(family: Family, { tproxyMark, tproxyTable }: InterceptOptions): Promise<number> {
    const { stdout } = await this.#run([`-${family}`, 'rule', 'show']);
    const wanted = new RegExp(`\\bfwmark 0x${tproxyMark.toString(16)} lookup ${tproxyTable}\\b`, 'g');
    return stdout.match(wanted)?.length ?? 0;
  }

  async #hasRoute(family: Family, { tproxyTable }: InterceptOptions): Promise<boolean> {
    const { stdout } = await this.#run([`-${family}`, 'route', 'show', 'table', `${tproxyTable}`]);
    return /^local default dev lo\b/m.test(stdout);
  }

  async #hasSource(): Promise<boolean> {
    return (await this.#run(['-6', 'addr', 'show', 'dev', 'lo'])).stdout.includes(' ::6/128 ');
  }

  async #batch(family: Family, commands: readonly string[]): Promise<void> {
    const outcome = await this.#run([`-${family}`, '-batch', '-'], `${commands.join('\n')}\n`);
    if (outcome.code !== 0) throw failure(this.#ip, family, outcome);
  }

  #run(args: readonly string[], input?: string): Promise<Outcome> {
    return runProgram(this.#ip, args, input);
  }
}

/** The error of a machine without `ip`. */
export function withoutIp(): InterceptError {
  return new InterceptError('ip is not installed, and TPROXY needs a routing table', 'apt-get install iproute2');
}

/** What `ip -4` or `ip -6` is told when nothing is there yet. */
export function routeCommands(options: InterceptOptions, family: Family): string[] {
  const commands = family === 6 ? ['addr replace ::6/128 dev lo'] : [];
  if (takesInboundBy(options, 'tproxy')) {
    commands.push(routeCommand('replace', family, options), ruleCommand('add', options));
  }
  return commands;
}

function ruleCommand(verb: 'add' | 'del', { tproxyMark, tproxyTable }: InterceptOptions): string {
  return `rule ${verb} fwmark ${tproxyMark} lookup ${tproxyTable}`;
}

function routeCommand(verb: 'replace' | 'del', family: Family, { tproxyTable }: InterceptOptions): string {
  return `route ${verb} local ${family === 4 ? '0.0.0.0/0' : '::/0'} dev lo table ${tproxyTable}`;
}
