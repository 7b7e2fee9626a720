import type { ClusterStats } from '../upstream/cluster-stats.ts';
import type { HttpStats } from './http-stats.ts';

/** Counts how often one side of an exchange was too slow, so that the other one was not read, and how often that ended. */
export class FlowControl {
  private requestPaused = false;
  private responsePaused = false;

  /** For the next exchange. */
  reset(): void {
    this.requestPaused = false;
    this.responsePaused = false;
  }

  /** The upstream does not take the request as fast as it comes. */
  onUpstreamCongested(http: HttpStats, cluster: ClusterStats): void {
    if (this.requestPaused) return;
    this.requestPaused = true;
    http.downstreamFlowControlPausedReadingTotal.inc();
    cluster.upstreamFlowControlBackedUpTotal.inc();
  }

  onUpstreamDrain(http: HttpStats, cluster: ClusterStats): void {
    if (!this.requestPaused) return;
    this.requestPaused = false;
    http.downstreamFlowControlResumedReadingTotal.inc();
    cluster.upstreamFlowControlDrainedTotal.inc();
  }

  /** The response is held back; that counts when it is the client who does not take it as fast as it comes. */
  onResponsePaused(congested: boolean, cluster: ClusterStats | undefined): void {
    if (!congested || this.responsePaused || cluster === undefined) return;
    this.responsePaused = true;
    cluster.upstreamFlowControlPausedReadingTotal.inc();
  }

  onResponseResumed(cluster: ClusterStats | undefined): void {
    if (!this.responsePaused || cluster === undefined) return;
    this.responsePaused = false;
    cluster.upstreamFlowControlResumedReadingTotal.inc();
  }
}
