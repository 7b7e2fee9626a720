import type { ConnectionRecord } from '../network/connection-record.ts';
import type { EarlyUpstream } from '../network/early-upstream.ts';
import type { Counter, StatsScope } from '../observe/stats.ts';
import type { FilterChainRuntime } from './filter-chain-runtime.ts';
import type { IncomingConnection } from './listener-filters.ts';

/** A connection to the upstream that was made ahead, and for whom. */
interface Race {
  readonly chain: FilterChainRuntime;
  readonly record: ConnectionRecord;
  readonly early: EarlyUpstream;
  won: boolean;
}

/**
 * Servers of some protocols speak first (SMTP, MySQL): behind an inspector, which waits for the client, both would wait
 * for the other. So while the client is silent, the upstream is connected to that would be if it stayed so. If the server
 * speaks first, the connection goes on as TCP.
 */
export class ServerFirst {
  private readonly races = new WeakMap<IncomingConnection, Race>();
  /** Connections that were made ahead. */
  private readonly raced: Counter;
  /** The server spoke before the client. */
  private readonly serverSpoke: Counter;
  /** The client spoke first, or nobody did, and the connection was used all the same. */
  private readonly reused: Counter;
  /** The connection was closed: another chain was chosen in the end, or the client went away. */
  private readonly unused: Counter;

  /** @param listener its scope */
  constructor(listener: StatsScope) {
    const scope = listener.scope('server_first');
    this.raced = scope.counter('raced');
    this.serverSpoke = scope.counter('server_spoke');
    this.reused = scope.counter('reused');
    this.unused = scope.counter('unused');
  }

  /** The client is silent; `chain` is what would serve it as it is. */
  begin(incoming: IncomingConnection, chain: FilterChainRuntime, record: ConnectionRecord, proceed: () => void): void {
    const early = chain.connectEarly(record, () => {
      // Whoever spoke first decides.
      if (incoming.hasSpoken) return;
      const race = this.races.get(incoming);
      if (race !== undefined) race.won = true;
      this.serverSpoke.inc();
      proceed();
    });
    if (early === undefined) return;
    this.raced.inc();
    this.races.set(incoming, { chain, record, early, won: false });
  }

  /** The chain is chosen; undefined when there is none. Gives it the connection if it is the right one. */
  settle(
    incoming: IncomingConnection,
    chain: FilterChainRuntime | undefined,
    record: ConnectionRecord | undefined,
  ): void {
    const race = this.races.get(incoming);
    if (race === undefined) return;
    this.races.delete(incoming);
    if (race.chain !== chain || record === undefined) {
      this.unused.inc();
      race.early.release();
      return;
    }
    if (!race.won) this.reused.inc();
    record.earlyUpstream = race.early;
  }
}
