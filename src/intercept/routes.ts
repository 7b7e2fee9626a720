import type { Snapshot } from './backend.ts';
import { failure } from './failure.ts';
import { InterceptError } from './intercept-error.ts';
import { DEFAULT_OPTIONS, type InterceptOptions } from './options.ts';
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
          // There is no `ip rule replace`: one is left, whatever there was.
          const add = ruleCommand('add', options);
          const { tproxyMark, tproxyTable } = options;
          const there = (await this.#rules(family)).filter(({ mark }) => mark === tproxyMark);
          const same = there.filter(({ table }) => table === `${tproxyTable}`);
          if (same.length > 0) commands.splice(commands.indexOf(add), 1);
          for (const { mark, table } of there)
            if (table !== `${tproxyTable}`) commands.push(ruleText('del', mark, table));
          for (let i = 1; i < same.length; i++) commands.push(ruleCommand('del', options));
        }
        if (commands.length > 0) await this.#batch(family, commands);
      }),
    );
  }

  /**
   * Takes out what `install` may have made.
   *
   * @param marks of TPROXY: rules by others are another's
   * @returns whether there was anything
   */
  async remove(marks: readonly number[], families: readonly Family[]): Promise<boolean> {
    const removed = await Promise.all(
      families.map(async (family) => {
        const rules = (await this.#rules(family)).filter(({ mark }) => marks.includes(mark));
        const commands = rules.map(({ mark, table }) => ruleText('del', mark, table));
        for (const table of new Set([...rules.map((rule) => rule.table), `${DEFAULT_OPTIONS.tproxyTable}`])) {
          if (await this.#hasRoute(family, table)) commands.push(routeCommand('del', family, table));
        }
        if (family === 6 && (await this.#hasSource())) commands.push('addr del ::6/128 dev lo');
        if (commands.length > 0) await this.#batch(family, commands);
        return commands.length > 0;
      }),
    );
    return removed.includes(true);
  }

  /** The rules that look marked packets up in a table, doubles included. */
  async #rules(family: Family): Promise<{ mark: number; table: string }[]> {
    const { stdout } = await this.#run([`-${family}`, 'rule', 'show']);
    const found = stdout.matchAll(/\bfwmark (0x[0-9a-f]+) lookup (\S+)/g);
    return Array.from(found, ([, mark, table = '']) => ({ mark: Number(mark), table }));
  }

  async #hasRoute(family: Family, table: string): Promise<boolean> {
    const { stdout } = await this.#run([`-${family}`, 'route', 'show', 'table', table]);
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

/** The marks that installations use, or would use by default. */
export function tproxyMarks(installed: readonly Snapshot[]): number[] {
  const used = installed.flatMap(({ rules }) =>
    rules.flatMap(({ rule }) => (rule?.target.kind === 'tproxy' ? [rule.target.mark] : [])),
  );
  return [...new Set([DEFAULT_OPTIONS.tproxyMark, ...used])];
}

/** The error of a machine without `ip`. */
export function withoutIp(): InterceptError {
  return new InterceptError('ip is not installed, and TPROXY needs a routing table', 'apt-get install iproute2');
}

/** What `ip -4` or `ip -6` is told when nothing is there yet. */
export function routeCommands(options: InterceptOptions, family: Family): string[] {
  const commands = family === 6 ? ['addr replace ::6/128 dev lo'] : [];
  if (takesInboundBy(options, 'tproxy')) {
    commands.push(routeCommand('replace', family, `${options.tproxyTable}`), ruleCommand('add', options));
  }
  return commands;
}

function ruleCommand(verb: 'add' | 'del', { tproxyMark, tproxyTable }: InterceptOptions): string {
  return ruleText(verb, tproxyMark, `${tproxyTable}`);
}

function ruleText(verb: 'add' | 'del', mark: number, table: string): string {
  return `rule ${verb} fwmark ${mark} lookup ${table}`;
}

function routeCommand(verb: 'replace' | 'del', family: Family, table: string): string {
  return `route ${verb} local ${family === 4 ? '0.0.0.0/0' : '::/0'} dev lo table ${table}`;
}
