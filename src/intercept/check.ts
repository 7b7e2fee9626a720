import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { ActiveRule, BackendName } from './backend.ts';
import { findBackends, noBackend } from './backends.ts';
import { drift } from './drift.ts';
import type { Verdict } from './expectation.ts';
import { meaningOf } from './meaning.ts';
import type { InterceptOptions } from './options.ts';
import { type Probe, planProbes, type Surroundings } from './probe.ts';
import { connectTimes, type Met } from './probe-connection.ts';
import { findProgram, runProgram } from './program.ts';
import type { Family } from './rule.ts';
import { readActive } from './show.ts';
import { TestInterface } from './test-interface.ts';

/** What became of a probe. */
export interface Finding {
  readonly probe: Probe;
  /** By the counters of the rules; undefined where it could not be tried. */
  readonly found: Verdict | `port ${number}` | undefined;
  /** The rule that decided; undefined when none took it. */
  readonly rule: ActiveRule | undefined;
  readonly meaning: string;
  readonly met: Met | undefined;
  /** Why it was not tried. */
  readonly skipped?: string;
}

export interface Checked {
  readonly backend: BackendName | undefined;
  readonly findings: readonly Finding[];
  /** What is wrong with the rules themselves, beside what the connections show. */
  readonly problems: readonly string[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

/** Counters of other traffic move too: a rule has taken a probe when it has counted all of these. */
const TIMES = 3;
const ROUNDS = 3;

/** Before the reason why a connection did not come about. */
const SKIPPED = /^skipped: /;

/** Tries connections against the rules that are active. */
export async function check(options: InterceptOptions): Promise<Checked> {
  const [active, second] = await readActive();
  if (active === undefined) return { backend: undefined, findings: [], problems: ['nothing is installed'], notes: [] };
  const problems = second === undefined ? [] : [`${second.backend} has rules as well as ${active.backend}`];
  const notes: string[] = [];
  const families = ([4, 6] as const).filter((family) => active.rules.some((rule) => rule.family === family));
  for (const family of families) problems.push(...drift(options, family, active.rules));
  const backend = findBackends().find(({ name }) => name === active.backend);
  if (backend === undefined) throw noBackend();
  const rulesOf = async (family: Family): Promise<readonly ActiveRule[]> => (await backend.read([family])).rules;
  const cable = await TestInterface.make();
  if (typeof cable === 'string') notes.push(`what comes in was not tried: ${cable}`);
  const findings: Finding[] = [];
  try {
    for (const family of families) {
      const server = await listen(family);
      try {
        const around = await look(family, server, cable);
        for (const probe of planProbes(options, around)) {
          findings.push(await tryProbe(probe, () => rulesOf(family), options, cable));
        }
        if (around.outInterface === undefined) notes.push(`IPv${family}: there is no route to others`);
      } finally {
        server.close();
      }
    }
  } finally {
    if (typeof cable !== 'string') await cable.remove();
  }
  if (findings.every(({ skipped }) => skipped !== undefined)) problems.push('nothing could be tried');
  return { backend: active.backend, findings, problems, notes };
}

async function tryProbe(
  probe: Probe,
  read: () => Promise<readonly ActiveRule[]>,
  options: InterceptOptions,
  cable: TestInterface | string,
): Promise<Finding> {
  let finding: Finding | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const before = await read();
    const met = await send(probe, cable);
    const hits = (await read()).filter((rule, i) => rule.packets - (before[i]?.packets ?? 0) >= TIMES);
    // What rules have counted was tried, whatever became of it: a host that nobody finds is told of after the rules.
    if (SKIPPED.test(met) && hits.length === 0) {
      return {
        probe,
        found: undefined,
        rule: undefined,
        meaning: '',
        met: undefined,
        skipped: met.replace(SKIPPED, ''),
      };
    }
    const found = verdictOf(hits, options);
    const rule = deciding(hits, probe.way, found);
    finding = { probe, found, rule, meaning: rule === undefined ? '' : meaningOf(rule), met: met.replace(SKIPPED, '') };
    if (found === probe.expected) break;
  }
  return finding as Finding;
}

async function send(probe: Probe, cable: TestInterface | string): Promise<Met> {
  const { family, way, destination, port, source, as } = probe;
  if (way === 'in') {
    if (typeof cable === 'string') return `skipped: ${cable}`;
    cable.connect(family, destination, port, TIMES);
    return 'no answer';
  }
  const met = as === undefined ? await connectTimes(destination, port, source, TIMES) : await connectAs(probe, as);
  return /^E(?!CONNRE)/.test(met) ? `skipped: ${met}` : met;
}

/** Another process, since a user is a process's. */
async function connectAs(
  { destination, port, source }: Probe,
  { uid, gid }: { uid: number; gid: number },
): Promise<Met> {
  const program = fileURLToPath(new URL('./probe-process.ts', import.meta.url));
  const args = ['--disable-warning=ExperimentalWarning', program, destination, `${port}`, source ?? '', `${TIMES}`];
  try {
    const { stdout, stderr } = await runProgram(process.execPath, args, '', { uid, gid });
    return stdout || `skipped: ${stderr.trim().split('\n').at(-1) || 'it did not start'}`;
  } catch (error) {
    const { code } = (error as Error).cause as NodeJS.ErrnoException;
    return `skipped: ${code === 'EPERM' ? 'the capabilities SETUID and SETGID are missing' : code}`;
  }
}

function verdictOf(hits: readonly ActiveRule[], options: InterceptOptions): Finding['found'] {
  for (const { rule } of hits) {
    if (rule?.target.kind !== 'redirect' && rule?.target.kind !== 'tproxy') continue;
    const { port } = rule.target;
    if (port === options.outboundPort) return 'outbound';
    return port === options.inboundPort ? 'inbound' : `port ${port}`;
  }
  return 'direct';
}

/** The last rule of the chain that chooses: others count what they hand on, or carry out what was chosen. */
function deciding(hits: readonly ActiveRule[], way: Probe['way'], found: Finding['found']): ActiveRule | undefined {
  const chain = way === 'out' ? 'ISTIO_OUTPUT' : 'ISTIO_INBOUND';
  // What goes out is chosen in nat; mangle marks it at most.
  const chosen = hits.filter((hit) => hit.chain === chain && (way === 'in' || hit.table.endsWith('nat')));
  const isJump = ({ rule }: ActiveRule): boolean => rule?.target.kind === 'jump';
  return chosen.findLast((hit) => isJump(hit) === (found !== 'direct'));
}

async function listen(family: Family): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, family === 4 ? '0.0.0.0' : '::', resolve);
  });
  return server;
}

async function look(family: Family, server: Server, cable: TestInterface | string): Promise<Surroundings> {
  const address = server.address();
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(
      (one) =>
        one.family === `IPv${family}` && !one.internal && !/^(?:fe80|fd6f:7574:7269|169\.254\.254\.)/.test(one.address),
    );
  return {
    family,
    ownAddress: own?.address,
    outInterface: await outInterface(family),
    inInterface: typeof cable === 'string' ? undefined : cable.name,
    listeningPort: typeof address === 'object' && address !== null ? address.port : 0,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
  };
}

async function outInterface(family: Family): Promise<string | undefined> {
  const ip = findProgram('ip');
  if (ip === undefined) return undefined;
  const { stdout } = await runProgram(ip, [
    `-${family}`,
    '-o',
    'route',
    'get',
    family === 4 ? '192.0.2.1' : '2001:db8::1',
  ]);
  return / dev (\S+)/.exec(stdout)?.[1];
}
