import type { SharedCount } from '../filter/env.ts';

/**
 * What the overload manager has decided, in the fields that the data path reads. Without one, nothing ever changes here.
 */
export class OverloadState {
  /** Requests are answered with 503. */
  stopsRequests = false;
  /** Each connection ends with its next response. */
  endsKeepAlive = false;
  /** Share of the new connections that is closed at once, 0…1. */
  rejectedShare = 0;
  /** New connections wait in the kernel's queue. */
  stopsConnections = false;
  /** Open downstream connections of the process; undefined where they are not limited. */
  connections: SharedCount | undefined = undefined;
  maxConnections = Number.POSITIVE_INFINITY;
}
