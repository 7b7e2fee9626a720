import type { Family, Hook, Match, Rule, Table, TableName, Target } from './rule.ts';

/** The tables of our own; whoever looks at the rules of a machine sees whose they are. */
export const NFT_TABLES: Readonly<Record<TableName, string>> = { nat: 'outrigger_nat', mangle: 'outrigger_mangle' };
export const NFT_FAMILIES: Readonly<Record<Family, string>> = { 4: 'ip', 6: 'ip6' };

/** Kind and place of the hooks, as iptables has them (Netfilter's NF_IP_PRI_NAT_DST, NF_IP_PRI_MANGLE). */
const BASES: Readonly<Record<TableName, Readonly<Record<Hook, string>>>> = {
  nat: {
    PREROUTING: 'type nat hook prerouting priority -100',
    OUTPUT: 'type nat hook output priority -100',
  },
  mangle: {
    PREROUTING: 'type filter hook prerouting priority -150',
    // Where a mark changes, the packet is routed anew.
    OUTPUT: 'type route hook output priority -150',
  },
};

/** A table of one family, in the words of `nft -f`. */
export function nftTable(table: Table, family: Family): string {
  const lines = [`table ${NFT_FAMILIES[family]} ${NFT_TABLES[table.name]} {`];
  for (const { name, rules } of table.chains) {
    lines.push(`  chain ${name} {`, ...rules.map((rule) => `    ${nftRule(rule, family)}`), '  }');
  }
  for (const { hook, rule } of table.hooks) {
    lines.push(
      `  chain ${hook} {`,
      `    ${BASES[table.name][hook]}; policy accept;`,
      `    ${nftRule(rule, family)}`,
      '  }',
    );
  }
  return `${lines.join('\n')}\n}\n`;
}

export function nftRule({ match, target }: Rule, family: Family): string {
  // A redirection is of a protocol with ports, and nft wants to be told which.
  return [...matchWords(match, NFT_FAMILIES[family]), 'counter', targetWords(target)].join(' ');
}

function matchWords(match: Match, ip: string): string[] {
  const words: string[] = [];
  if (match.inInterface !== undefined) words.push(`iifname ${interfaceName(match.inInterface)}`);
  if (match.outInterface !== undefined) words.push(`oifname ${interfaceName(match.outInterface)}`);
  if (match.source !== undefined) words.push(`${ip} saddr ${match.source}`);
  if (match.destination !== undefined) words.push(`${ip} daddr ${match.destination}`);
  if (match.notDestination !== undefined) words.push(`${ip} daddr != ${match.notDestination}`);
  if (match.isTcp) words.push('meta l4proto tcp');
  if (match.destinationPort !== undefined) words.push(`tcp dport ${match.destinationPort}`);
  if (match.notDestinationPort !== undefined) words.push(`tcp dport != ${match.notDestinationPort}`);
  if (match.isEstablished) words.push('ct state established,related');
  if (match.mark !== undefined) words.push(`meta mark ${match.mark}`);
  if (match.notMark !== undefined) words.push(`meta mark != ${match.notMark}`);
  if (match.connectionMark !== undefined) words.push(`ct mark ${match.connectionMark}`);
  if (match.uid !== undefined) words.push(`meta skuid ${match.uid}`);
  if (match.gid !== undefined) words.push(`meta skgid ${match.gid}`);
  for (const uid of match.notUids ?? []) words.push(`meta skuid != ${uid}`);
  for (const gid of match.notGids ?? []) words.push(`meta skgid != ${gid}`);
  return words;
}

function interfaceName(name: string): string {
  return `"${name.replace(/\+$/, '*')}"`;
}

function targetWords(target: Target): string {
  switch (target.kind) {
    case 'return':
    case 'accept':
      return target.kind;
    case 'jump':
      return `jump ${target.chain}`;
    case 'redirect':
      return `redirect to :${target.port}`;
    case 'tproxy':
      return `tproxy to :${target.port} meta mark set ${target.mark} accept`;
    case 'mark':
      return `meta mark set ${target.mark}`;
    case 'save-mark':
      return 'ct mark set meta mark';
    case 'restore-mark':
      return 'meta mark set ct mark';
  }
}
