import type { Backend, BackendName, PlannedInput, Snapshot } from './backend.ts';
import { backendNamed, findBackends, noBackend, survey } from './backends.ts';
import { InterceptError } from './intercept-error.ts';
import { hasIpv6 } from './ipv6.ts';
import type { InterceptOptions } from './options.ts';
import { Routes, routeCommands, tproxyMarks, withoutIp } from './routes.ts';
import type { Family } from './rule.ts';
import { takesInboundBy } from './rule-set.ts';

export interface HostOptions {
  readonly backend: 'auto' | BackendName;
  /** `auto` is both families wherever the namespace has IPv6: what is left out would pass by the proxy. */
  readonly ipv6: 'auto' | 'on' | 'off';
}

export interface Installed {
  readonly backend: BackendName;
  readonly families: readonly Family[];
  /** What could not be done and does not matter to most. */
  readonly warnings: readonly string[];
}

/** Brings the rules into this network namespace, in place of whatever an earlier installation has left. */
export async function install(options: InterceptOptions, host: HostOptions): Promise<Installed> {
  const families = familiesOf(host);
  const installed = findBackends();
  const { snapshots, chosen } = await choose(installed, host.backend, families);
  const warnings: string[] = [];
  const routes = Routes.find();
  if (routes === undefined) {
    if (takesInboundBy(options, 'tproxy')) throw withoutIp();
    if (families.includes(6)) {
      warnings.push('ip is not installed: the proxy cannot call its app from ::6, which only matters to apps on IPv6');
    }
  }
  const before = snapshots.filter((snapshot) => snapshot.hasOurs);
  // Left by TPROXY: who switches back would have its routing table for ever.
  const former = tproxyMarks(before).filter(
    (mark) => !takesInboundBy(options, 'tproxy') || mark !== options.tproxyMark,
  );
  if (before.some(hasTproxy) && former.length > 0) await routes?.remove(former, families);
  const [rules, rest] = await Promise.allSettled([
    chosen.install(options, families),
    routes?.install(options, families),
  ]);
  const failed = [rules, rest].find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    if (rules.status === 'fulfilled') await chosen.undo();
    if (before.length === 0) await routes?.remove([options.tproxyMark], families).catch(() => undefined);
    throw failed.reason;
  }
  for (const other of before) if (other !== chosen) await other.remove();
  return { backend: chosen.backend, families, warnings };
}

function hasTproxy({ rules }: Snapshot): boolean {
  return rules.some(({ rule }) => rule?.target.kind === 'tproxy');
}

/** What `install` would tell the programs now. */
export async function planInstall(options: InterceptOptions, host: HostOptions): Promise<PlannedInput[]> {
  const families = familiesOf(host);
  const { chosen, snapshots } = await choose(findBackends(), host.backend, families);
  const others = snapshots.filter((other) => other !== chosen).flatMap((other) => other.planRemoval());
  return [...chosen.planInstall(options, families), ...others, ...plannedRoutes(options, families)];
}

function plannedRoutes(options: InterceptOptions, families: readonly Family[]): PlannedInput[] {
  return families
    .map((family) => ({ command: `ip -${family} -batch -`, text: routeCommands(options, family).join('\n') }))
    .filter(({ text }) => text !== '');
}

function familiesOf({ ipv6 }: HostOptions): Family[] {
  return ipv6 === 'on' || (ipv6 === 'auto' && hasIpv6()) ? [4, 6] : [4];
}

async function choose(
  installed: readonly Backend[],
  wanted: HostOptions['backend'],
  families: readonly Family[],
): Promise<{ snapshots: readonly Snapshot[]; chosen: Snapshot }> {
  if (wanted === 'auto' && installed.length === 0) throw noBackend();
  const named = wanted === 'auto' ? undefined : backendNamed(wanted, installed);
  const asked = named === undefined || installed.includes(named) ? installed : [named, ...installed];
  const { snapshots, errors } = await survey(asked, families);
  const chosen =
    named === undefined ? preferred(snapshots) : snapshots.find((snapshot) => snapshot.backend === named.name);
  if (chosen === undefined) throw errors[0] ?? new InterceptError('no program can change the rules of the network');
  return { snapshots, chosen };
}

/** Where an installation is already, else where others have rules, else the first that works. */
function preferred(snapshots: readonly Snapshot[]): Snapshot | undefined {
  return (
    snapshots.find((snapshot) => snapshot.hasOurs) ?? snapshots.find((snapshot) => snapshot.hasForeign) ?? snapshots[0]
  );
}
