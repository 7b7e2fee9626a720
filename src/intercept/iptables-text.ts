import type { Match, Rule, Target } from './rule.ts';

/** A rule in the words of iptables, as they follow `-A <chain>`. */
export function iptablesRule({ match, target }: Rule): string {
  return [...matchWords(match), '-j', ...targetWords(target)].join(' ');
}

function matchWords(match: Match): string[] {
  const words: string[] = [];
  if (match.inInterface !== undefined) words.push('-i', match.inInterface);
  if (match.outInterface !== undefined) words.push('-o', match.outInterface);
  if (match.source !== undefined) words.push('-s', match.source);
  if (match.destination !== undefined) words.push('-d', match.destination);
  if (match.notDestination !== undefined) words.push('!', '-d', match.notDestination);
  if (match.isTcp) words.push('-p', 'tcp');
  if (match.destinationPort !== undefined) words.push('--dport', `${match.destinationPort}`);
  if (match.notDestinationPort !== undefined) words.push('!', '--dport', `${match.notDestinationPort}`);
  if (match.isEstablished) words.push('-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED');
  if (match.mark !== undefined) words.push('-m', 'mark', '--mark', `${match.mark}`);
  if (match.notMark !== undefined) words.push('-m', 'mark', '!', '--mark', `${match.notMark}`);
  if (match.connectionMark !== undefined) words.push('-m', 'connmark', '--mark', `${match.connectionMark}`);
  if (match.uid !== undefined) words.push('-m', 'owner', '--uid-owner', `${match.uid}`);
  if (match.gid !== undefined) words.push('-m', 'owner', '--gid-owner', `${match.gid}`);
  for (const uid of match.notUids ?? []) words.push('-m', 'owner', '!', '--uid-owner', `${uid}`);
  for (const gid of match.notGids ?? []) words.push('-m', 'owner', '!', '--gid-owner', `${gid}`);
  return words;
}

function targetWords(target: Target): string[] {
  switch (target.kind) {
    case 'return':
      return ['RETURN'];
    case 'accept':
      return ['ACCEPT'];
    case 'jump':
      return [target.chain];
    case 'redirect':
      return ['REDIRECT', '--to-ports', `${target.port}`];
    case 'tproxy':
      return ['TPROXY', '--on-port', `${target.port}`, '--tproxy-mark', `${target.mark}/0xffffffff`];
    case 'mark':
      return ['MARK', '--set-mark', `${target.mark}`];
    case 'save-mark':
      return ['CONNMARK', '--save-mark'];
    case 'restore-mark':
      return ['CONNMARK', '--restore-mark'];
  }
}
