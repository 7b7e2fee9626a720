import { TABLE2 } from '../../observe/components.ts';
import { UNATTRIBUTED, USER } from '../profile/attribute.ts';
import type { ProfilePart } from '../profile/profile-report.ts';
import { type Breakdown, type Characterization, LEVELS, type PeerCharacter } from './characterization.ts';
import { peerNames } from './rounds.ts';
import { figureText, NOTHING, numberText, shareText, type TextTable } from './text-table.ts';

/** The peer that the others are compared with, where it was measured. */
const BASELINE = 'envoy';
/** Configurations side by side in a table of components. */
const SIDE_BY_SIDE = 5;

const RATIOS =
  'Medians; brackets hold the ratio to Envoy in the same rounds; ~ marks rounds that differ by more than 20 %.';

interface Row {
  readonly name: string;
  readonly title: string;
  readonly peer: PeerCharacter;
  readonly baseline: PeerCharacter | undefined;
}

interface OpenRow {
  readonly name: string;
  readonly title: string;
  /** Why nothing was measured. */
  readonly open: string;
}

/** Each peer of each configuration that was measured, and those that are open. */
function rowsOf(c: Characterization): (Row | OpenRow)[] {
  return c.configurations.flatMap(({ name, title, open, peers }): (Row | OpenRow)[] => {
    if (open !== undefined || peers.length === 0) return [{ name, title, open: open ?? 'no peer has it' }];
    const baseline = peers.find(({ peer }) => peer === BASELINE);
    return peers.map((peer) => ({ name, title, peer, baseline: peer === baseline ? undefined : baseline }));
  });
}

/** Rate and CPU time at saturation. */
export function saturationTable(c: Characterization): TextTable {
  return {
    title: 'Configurations at saturation',
    words: 2,
    columns: ['configuration', 'peer', 'requests/s', 'CPU µs/request', 'CPU', 'marks'],
    rows: rowsOf(c).map((row) => {
      if (!('peer' in row)) return [nameText(row), NOTHING, NOTHING, NOTHING, NOTHING, `open: ${row.open}`];
      const { peer, baseline } = row;
      return [
        nameText(row),
        peer.peer,
        figureText(peer.requestsPerSecond, baseline?.requestsPerSecond),
        figureText(peer.cpuMicros, baseline?.cpuMicros),
        peer.cpuPercent === undefined ? NOTHING : `${numberText(peer.cpuPercent)} %`,
        marks(peer.errors, peer.error),
      ];
    }),
    notes: [RATIOS],
    command: c.command,
  };
}

/** Latency at the levels of load; undefined where no level was measured. */
export function latencyTable(c: Characterization): TextTable | undefined {
  const levels = LEVELS.filter((level) =>
    c.configurations.some(({ peers }) => peers.some((peer) => peer.levels.some((one) => one.level === level))),
  );
  if (levels.length === 0) return undefined;
  const rows = rowsOf(c).flatMap((row) => {
    if (!('peer' in row) || row.peer.levels.length === 0) return [];
    const at = (peer: PeerCharacter | undefined, level: number) => peer?.levels.find((one) => one.level === level);
    const limits = levels.flatMap((level) => {
      const found = at(row.peer, level);
      if (found === undefined) return [];
      const text = [
        marks(found.errors),
        found.loop === 'closed' ? 'closed loop' : '',
        found.unanswered > 0 ? `${found.unanswered} unanswered` : '',
        ...found.generatorLimits,
      ];
      const said = text.filter((one) => one !== '').join(', ');
      return said === '' ? [] : [`${100 * level} %: ${said}`];
    });
    return [
      [
        nameText(row),
        row.peer.peer,
        ...levels.flatMap((level) => {
          const [own, base] = [at(row.peer, level), at(row.baseline, level)];
          return [
            own === undefined ? NOTHING : numberText(own.rate),
            figureText(own?.p50, base?.p50),
            figureText(own?.p99, base?.p99),
          ];
        }),
        limits.join('; '),
      ],
    ];
  });
  return {
    title: 'Latency, µs',
    words: 2,
    columns: ['configuration', 'peer', ...levels.flatMap((level) => [`${100 * level} %: rate`, `p50`, `p99`]), 'marks'],
    rows,
    notes: [
      `${RATIOS} The levels are shares of a core; each peer has a rate of its own at each. Latency counts from the moment at ` +
        'which a request was due; in a closed loop, where the marks say so, from its sending.',
    ],
    command: c.command,
  };
}

/** Where the time goes, by the rows of the paper's Table 2: one or more tables for each peer. */
export function componentTables(c: Characterization): TextTable[] {
  return peerNames(c).flatMap((peer) => {
    const columns = c.configurations.flatMap(({ name, peers }) => {
      const breakdown = peers.find((one) => one.peer === peer)?.breakdown;
      return breakdown === undefined ? [] : [{ name, breakdown }];
    });
    const tables: TextTable[] = [];
    for (let from = 0; from < columns.length; from += SIDE_BY_SIDE)
      tables.push(componentTable(c, peer, columns.slice(from, from + SIDE_BY_SIDE), from > 0));
    return tables;
  });
}

function componentTable(
  c: Characterization,
  peer: string,
  columns: readonly { readonly name: string; readonly breakdown: Breakdown }[],
  isContinued: boolean,
): TextTable {
  const sums = columns.map(({ breakdown }) => table2Sums(breakdown.parts));
  // What nobody knows is shown where there is none too.
  const present = (row: string): boolean => row === UNKNOWN || sums.some((sum) => sum.has(row));
  const rows = [...TABLE2, ...LAST.filter(present)];
  const differenced = columns.some(({ breakdown }) => breakdown.parts.some(({ basis }) => basis === 'by difference'));
  const notes = columns.flatMap(({ name, breakdown }) => breakdown.notes.map((note) => `${name}: ${note}`));
  return {
    title: `Components of ${peer}, µs of CPU per request and share (Table 2)${isContinued ? ', continued' : ''}`,
    words: 1,
    columns: ['component', ...columns.map(({ name }) => name)],
    rows: [
      ...rows.map((row) => [
        row,
        ...sums.map((sum, i) => {
          const micros = sum.get(row);
          if (micros === undefined) return NOTHING;
          return `${numberText(micros)} (${shareText(micros / columns[i]!.breakdown.cpuMicros)})`;
        }),
      ]),
      ['all', ...columns.map(({ breakdown }) => numberText(breakdown.cpuMicros))],
    ],
    notes: [
      ...(differenced ? ['Without symbols, user space is taken apart by differences of configurations.'] : []),
      ...new Set(notes),
    ],
    command: c.command,
  };
}

export const NOT_IN_TABLE2 = 'Not in Table 2';
export const NOT_APART = 'User space, not taken apart';
export const UNKNOWN = 'Unattributed';
const LAST = [NOT_IN_TABLE2, NOT_APART, UNKNOWN];

/** Microseconds by the rows of Table 2, and by what has none there. */
export function table2Sums(parts: readonly ProfilePart[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { part, table2, usPerRequest } of parts) {
    const row = part === USER ? NOT_APART : part === UNATTRIBUTED ? UNKNOWN : (table2 ?? NOT_IN_TABLE2);
    const known = (TABLE2 as readonly string[]).includes(row) || LAST.includes(row) ? row : UNKNOWN;
    sums.set(known, (sums.get(known) ?? 0) + usPerRequest);
  }
  return sums;
}

function nameText({ name, title }: { readonly name: string; readonly title: string }): string {
  return title === '' || title === name ? name : `${name} (${title})`;
}

function marks(errors: number, error?: string): string {
  return [...(errors > 0 ? [`${errors} requests failed`] : []), ...(error === undefined ? [] : [error])].join('; ');
}
