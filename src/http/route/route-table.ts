import type { RequestHead } from '../message.ts';
import type { HashStream } from './hash-policy.ts';
import type { RouteChoice } from './route-choice.ts';
import type { RouteEntry } from './route-entry.ts';
import type { RouteIndex } from './route-index.ts';
import type { VirtualHostTable } from './virtual-host-table.ts';

/** What a route table is made of. */
export interface RouteTableParts {
  readonly name: string;
  readonly hosts: VirtualHostTable<RouteIndex<RouteChoice>>;
  readonly entries: readonly RouteEntry[];
  readonly internalOnlyHeaders: readonly string[];
  /** Lower-case name of the header that is compared with domains in place of the authority; '' without. */
  readonly virtualHostHeader: string;
  /** Whether what stands behind a `;` in the path is not compared. */
  readonly ignorePathParameters: boolean;
}

/** A compiled route configuration. */
export class RouteTable {
  readonly name: string;
  /** Every entry, one for each weighted cluster, in order of the configuration. */
  readonly entries: readonly RouteEntry[];
  /** Lower-case names of headers that are taken off requests from outside. */
  readonly internalOnlyHeaders: readonly string[];
  private readonly hosts: VirtualHostTable<RouteIndex<RouteChoice>>;
  private readonly virtualHostHeader: string;
  private readonly ignorePathParameters: boolean;

  constructor(parts: RouteTableParts) {
    this.name = parts.name;
    this.entries = parts.entries;
    this.internalOnlyHeaders = parts.internalOnlyHeaders;
    this.hosts = parts.hosts;
    this.virtualHostHeader = parts.virtualHostHeader;
    this.ignorePathParameters = parts.ignorePathParameters;
  }

  /**
   * The first route, in order of the configuration, of the virtual host of the request; undefined when there is none.
   * With weighted clusters the entry is that of the cluster chosen for this call: keep it for the stream.
   */
  match(request: RequestHead, stream: HashStream): RouteEntry | undefined {
    const host = this.virtualHostHeader === '' ? request.authority : (request.get(this.virtualHostHeader) ?? '');
    const index = this.hosts.find(host);
    if (index === undefined) return undefined;
    const { path } = request;
    let end = path.length;
    const query = path.indexOf('?');
    if (query >= 0) end = query;
    const fragment = path.indexOf('#');
    if (fragment >= 0 && fragment < end) end = fragment;
    if (this.ignorePathParameters) {
      const semicolon = path.indexOf(';');
      if (semicolon >= 0 && semicolon < end) end = semicolon;
    }
    return index.find(request, end, stream)?.pick(request, stream);
  }
}
