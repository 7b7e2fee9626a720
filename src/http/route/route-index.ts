import type { StreamInfo } from '../../observe/stream-info.ts';
import type { RequestHead } from '../message.ts';

/** How a route compares paths. */
export const PATH_KIND = {
  /** The path begins with the text. */
  PREFIX: 0,
  /** The path is the text. */
  EXACT: 1,
  /** The path is the text, or goes on with a slash behind it. */
  SEPARATED_PREFIX: 2,
  /** A function decides; every path that it accepts begins with the text. */
  TEST: 3,
  /** A CONNECT request, whatever its path. */
  CONNECT: 4,
} as const;
export type PathKind = (typeof PATH_KIND)[keyof typeof PATH_KIND];

export type Condition = (request: RequestHead, stream: StreamInfo) => boolean;

/** One route as the index sees it. */
export interface Candidate<T> {
  readonly kind: PathKind;
  /** Wire text; '' for CONNECT. */
  readonly text: string;
  /** For TEST: on the path without query. */
  readonly test: ((path: string) => boolean) | undefined;
  /** What must hold besides the path. */
  readonly condition: Condition | undefined;
  readonly value: T;
}

interface Ranked<T> extends Candidate<T> {
  /** Place in the configuration: the lowest that matches wins. */
  readonly rank: number;
}

interface Node<T> {
  label: string;
  /** First character codes of the children's labels. */
  readonly codes: number[];
  readonly children: Node<T>[];
  /** In order of rank. */
  readonly candidates: Ranked<T>[];
  /** The lowest rank in the children's subtrees: no need to look there for a better one than that. */
  lowestBelow: number;
}

const SLASH = 47;

/**
 * The routes of one virtual host in a radix tree of their literal path prefixes. Finds the same route as trying all of
 * them in order, in time that depends on the path and on how many routes share its prefixes, and allocates nothing
 * unless a TEST meets a path with a query.
 */
export class RouteIndex<T> {
  private readonly root: Node<T> = makeNode('');
  private readonly connects: Candidate<T>[] = [];

  /** `candidates` are in order of precedence. */
  constructor(candidates: readonly Candidate<T>[]) {
    for (const [rank, candidate] of candidates.entries()) {
      insert(this.root, { ...candidate, rank });
      if (candidate.kind === PATH_KIND.CONNECT) this.connects.push(candidate);
    }
    setLowestBelow(this.root);
  }

  /** @param end where the path ends within `request.path`: before its query */
  find(request: RequestHead, end: number, stream: StreamInfo): T | undefined {
    const path = request.path;
    if (path === '') return this.findConnect(request, stream);
    let best: Ranked<T> | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    let node = this.root;
    let at = 0;
    for (;;) {
      const { candidates } = node;
      for (let i = 0; i < candidates.length; i++) {
        const candidate = candidates[i] as Ranked<T>;
        if (candidate.rank >= bestRank) break;
        if (!acceptsPath(candidate, request, at, end)) continue;
        if (candidate.condition !== undefined && !candidate.condition(request, stream)) continue;
        best = candidate;
        bestRank = candidate.rank;
        break;
      }
      if (at === end || node.lowestBelow >= bestRank) break;
      const child = node.children[node.codes.indexOf(path.charCodeAt(at))];
      if (child === undefined || at + child.label.length > end || !path.startsWith(child.label, at)) break;
      at += child.label.length;
      node = child;
    }
    return best?.value;
  }

  /** A CONNECT request of HTTP/1 has no path and meets only routes that ask for it. */
  private findConnect(request: RequestHead, stream: StreamInfo): T | undefined {
    if (request.method !== 'CONNECT') return undefined;
    for (const candidate of this.connects) {
      if (candidate.condition === undefined || candidate.condition(request, stream)) return candidate.value;
    }
    return undefined;
  }
}

/** Whether the rest of the path, behind the candidate's text which ends at `at`, is right. */
function acceptsPath<T>(candidate: Ranked<T>, request: RequestHead, at: number, end: number): boolean {
  const path = request.path;
  switch (candidate.kind) {
    case PATH_KIND.PREFIX:
      return true;
    case PATH_KIND.EXACT:
      return at === end;
    case PATH_KIND.SEPARATED_PREFIX:
      return at === end || path.charCodeAt(at) === SLASH;
    case PATH_KIND.TEST:
      return candidate.test?.(end === path.length ? path : path.substring(0, end)) === true;
    case PATH_KIND.CONNECT:
      return request.method === 'CONNECT';
  }
}

function makeNode<T>(label: string): Node<T> {
  return { label, codes: [], children: [], candidates: [], lowestBelow: Number.POSITIVE_INFINITY };
}

function addChild<T>(parent: Node<T>, child: Node<T>): void {
  parent.codes.push(child.label.charCodeAt(0));
  parent.children.push(child);
}

function insert<T>(root: Node<T>, candidate: Ranked<T>): void {
  let node = root;
  let rest = candidate.text;
  while (rest !== '') {
    const place = node.codes.indexOf(rest.charCodeAt(0));
    if (place < 0) {
      const leaf = makeNode<T>(rest);
      addChild(node, leaf);
      node = leaf;
      break;
    }
    const child = node.children[place] as Node<T>;
    const shared = sharedLength(child.label, rest);
    if (shared < child.label.length) {
      const middle = makeNode<T>(rest.substring(0, shared));
      child.label = child.label.substring(shared);
      addChild(middle, child);
      node.children[place] = middle;
      node = middle;
    } else {
      node = child;
    }
    rest = rest.substring(shared);
  }
  node.candidates.push(candidate);
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}

/** Returns the lowest rank in the node's whole subtree. */
function setLowestBelow<T>(node: Node<T>): number {
  for (const child of node.children) node.lowestBelow = Math.min(node.lowestBelow, setLowestBelow(child));
  return Math.min(node.lowestBelow, node.candidates[0]?.rank ?? Number.POSITIVE_INFINITY);
}
