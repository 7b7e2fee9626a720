import type { Match, Rule, Target } from './rule.ts';

/** What a piece of a rule's text says; several of a kind add up. */
type Piece<T> = readonly [pattern: RegExp, read: (...groups: string[]) => T];

const host = (address: string): string =>
  address.includes('/') ? address : `${address}/${address.includes(':') ? 128 : 32}`;

/** In the order of iptables-save or of our own. */
const IPTABLES: readonly Piece<Match>[] = [
  [/^-i (\S+)/, (inInterface) => ({ inInterface })],
  [/^-o (\S+)/, (outInterface) => ({ outInterface })],
  [/^-s (\S+)/, (source) => ({ source })],
  [/^-d (\S+)/, (destination) => ({ destination })],
  [/^! -d (\S+)/, (notDestination) => ({ notDestination })],
  [/^-p tcp(?: -m tcp)?/, () => ({ isTcp: true })],
  [/^--dport (\d+)/, (port) => ({ destinationPort: Number(port) })],
  [/^! --dport (\d+)/, (port) => ({ notDestinationPort: Number(port) })],
  [/^-m conntrack --ctstate RELATED,ESTABLISHED/, () => ({ isEstablished: true })],
  [/^-m mark --mark (\w+)/, (mark) => ({ mark: Number(mark) })],
  [/^-m mark ! --mark (\w+)/, (mark) => ({ notMark: Number(mark) })],
  [/^-m connmark --mark (\w+)/, (mark) => ({ connectionMark: Number(mark) })],
  [/^-m owner --uid-owner (\d+)/, (uid) => ({ uid: Number(uid) })],
  [/^-m owner --gid-owner (\d+)/, (gid) => ({ gid: Number(gid) })],
  [/^-m owner ! --uid-owner (\d+)/, (uid) => ({ notUids: [Number(uid)] })],
  [/^-m owner ! --gid-owner (\d+)/, (gid) => ({ notGids: [Number(gid)] })],
];

const IPTABLES_TARGETS: readonly Piece<Target>[] = [
  [/^-j RETURN$/, () => ({ kind: 'return' })],
  [/^-j ACCEPT$/, () => ({ kind: 'accept' })],
  [/^-j REDIRECT --to-ports (\d+)$/, (port) => ({ kind: 'redirect', port: Number(port) })],
  [
    /^-j TPROXY --on-port (\d+)(?: --on-ip \S+)? --tproxy-mark (\w+)\/0xffffffff$/,
    (port, mark) => ({ kind: 'tproxy', port: Number(port), mark: Number(mark) }),
  ],
  [/^-j MARK --set-x?mark (\w+)(?:\/0xffffffff)?$/, (mark) => ({ kind: 'mark', mark: Number(mark) })],
  [/^-j CONNMARK --save-mark(?: --nfmask 0xffffffff --ctmask 0xffffffff)?$/, () => ({ kind: 'save-mark' })],
  [/^-j CONNMARK --restore-mark(?: --nfmask 0xffffffff --ctmask 0xffffffff)?$/, () => ({ kind: 'restore-mark' })],
  [/^-j (\S+)$/, (chain = '') => ({ kind: 'jump', chain })],
];

const wildcard = (name = ''): string => name.replace(/\*$/, '+');

const NFT: readonly Piece<Match>[] = [
  [/^iifname "([^"]+)"/, (name) => ({ inInterface: wildcard(name) })],
  [/^oifname "([^"]+)"/, (name) => ({ outInterface: wildcard(name) })],
  [/^ip6? saddr ([\da-f]\S*|::\S+)/, (source = '') => ({ source: host(source) })],
  [/^ip6? daddr != (\S+)/, (address = '') => ({ notDestination: host(address) })],
  [/^ip6? daddr (\S+)/, (address = '') => ({ destination: host(address) })],
  [/^meta l4proto (?:tcp|6)/, () => ({ isTcp: true })],
  [/^tcp dport (\d+)/, (port) => ({ isTcp: true, destinationPort: Number(port) })],
  [/^tcp dport != (\d+)/, (port) => ({ isTcp: true, notDestinationPort: Number(port) })],
  [/^ct state (?:established,related|0x6|0x4,0x2|0x2,0x4)/, () => ({ isEstablished: true })],
  [/^(?:meta )?mark (\w+)/, (mark) => ({ mark: Number(mark) })],
  [/^(?:meta )?mark != (\w+)/, (mark) => ({ notMark: Number(mark) })],
  [/^ct mark (0x\w+|\d+)/, (mark) => ({ connectionMark: Number(mark) })],
  [/^(?:meta )?skuid (\d+)/, (uid) => ({ uid: Number(uid) })],
  [/^(?:meta )?skgid (\d+)/, (gid) => ({ gid: Number(gid) })],
  [/^(?:meta )?skuid != (\d+)/, (uid) => ({ notUids: [Number(uid)] })],
  [/^(?:meta )?skgid != (\d+)/, (gid) => ({ notGids: [Number(gid)] })],
];

const NFT_TARGETS: readonly Piece<Target>[] = [
  [/^return$/, () => ({ kind: 'return' })],
  [/^accept$/, () => ({ kind: 'accept' })],
  [/^jump (\S+)$/, (chain = '') => ({ kind: 'jump', chain })],
  [/^redirect to :(\d+)$/, (port) => ({ kind: 'redirect', port: Number(port) })],
  [
    /^tproxy to :(\d+) meta mark set (\w+) accept$/,
    (port, mark) => ({ kind: 'tproxy', port: Number(port), mark: Number(mark) }),
  ],
  [/^meta mark set (0x\w+|\d+)$/, (mark) => ({ kind: 'mark', mark: Number(mark) })],
  [/^ct mark set (?:meta )?mark$/, () => ({ kind: 'save-mark' })],
  [/^meta mark set ct mark$/, () => ({ kind: 'restore-mark' })],
];

/** Reads a rule of ours, as iptables-save tells it or as we write it; undefined for any other. */
export function readIptablesRule(text: string): Rule | undefined {
  return readRule(text, IPTABLES, IPTABLES_TARGETS);
}

/** The same in the words of nft, without its counter. */
export function readNftRule(text: string): Rule | undefined {
  return readRule(text, NFT, NFT_TARGETS);
}

function readRule(text: string, pieces: readonly Piece<Match>[], targets: readonly Piece<Target>[]): Rule | undefined {
  let match: Match = {};
  let rest = text;
  for (;;) {
    const target = firstOf(rest, targets);
    if (target !== undefined) return { match, target: target.value };
    const piece = firstOf(rest, pieces);
    if (piece === undefined || !/^(?: |$)/.test(piece.rest)) return undefined;
    match = add(match, piece.value);
    rest = piece.rest.trimStart();
  }
}

function firstOf<T>(text: string, pieces: readonly Piece<T>[]): { value: T; rest: string } | undefined {
  for (const [pattern, read] of pieces) {
    const found = pattern.exec(text);
    if (found !== null) return { value: read(...found.slice(1)), rest: text.slice(found[0].length) };
  }
  return undefined;
}

function add(match: Match, more: Match): Match {
  const notUids = [...(match.notUids ?? []), ...(more.notUids ?? [])];
  const notGids = [...(match.notGids ?? []), ...(more.notGids ?? [])];
  return {
    ...match,
    ...more,
    ...(notUids.length > 0 && { notUids }),
    ...(notGids.length > 0 && { notGids }),
  };
}
