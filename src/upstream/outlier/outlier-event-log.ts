import type { Logger } from '../../filter/env.ts';
import { type LogSink, openSink } from '../../observe/access-log/sink.ts';
import { CELL, processClockMs } from '../endpoint-slots.ts';
import type { OutlierMonitor } from './outlier-monitor.ts';
import type { EjectionCause } from './outlier-stats.ts';
import type { RateLimits } from './success-rate.ts';

/** Names of envoy.data.cluster.v3.OutlierEjectionType. */
const TYPES: Readonly<Record<EjectionCause, string>> = {
  consecutive_5xx: 'CONSECUTIVE_5XX',
  consecutive_gateway_failure: 'CONSECUTIVE_GATEWAY_FAILURE',
  consecutive_local_origin_failure: 'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
  success_rate: 'SUCCESS_RATE',
  local_origin_success_rate: 'SUCCESS_RATE_LOCAL_ORIGIN',
  failure_percentage: 'FAILURE_PERCENTAGE',
  local_origin_failure_percentage: 'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
};

interface Rates {
  readonly external: RateLimits;
  readonly local: RateLimits;
}

/** Writes envoy.data.cluster.v3.OutlierDetectionEvent, one JSON object per line. */
export class OutlierEventLog {
  private readonly sink: LogSink;
  private readonly clusterName: string;

  constructor(path: string, clusterName: string, log: Logger) {
    this.sink = openSink(path, { log });
    this.clusterName = clusterName;
  }

  /** An endpoint was found out, and is out if `enforced`. */
  logEjection(monitor: OutlierMonitor, cause: EjectionCause, enforced: boolean, rates: Rates): void {
    this.write({
      type: TYPES[cause],
      ...secondsSince(monitor, CELL.UNEJECTED_AT_MS),
      cluster_name: this.clusterName,
      upstream_url: monitor.endpoint.address,
      action: 'EJECT',
      num_ejections: monitor.get(CELL.EJECTIONS),
      enforced,
      ...details(monitor, cause, rates),
    });
  }

  /** An endpoint is back. */
  logReturn(monitor: OutlierMonitor): void {
    // The first values of enumerations and booleans are written out, as by Envoy.
    this.write({
      type: 'CONSECUTIVE_5XX',
      ...secondsSince(monitor, CELL.EJECTED_AT_MS),
      cluster_name: this.clusterName,
      upstream_url: monitor.endpoint.address,
      action: 'UNEJECT',
      num_ejections: monitor.get(CELL.EJECTIONS),
      enforced: false,
    });
  }

  close(): void {
    void this.sink.close();
  }

  private write(event: object): void {
    this.sink.write(`${JSON.stringify({ timestamp: new Date().toISOString(), ...event })}\n`);
  }
}

/** Time since the endpoint last left or came back; nothing when it never did. */
function secondsSince(monitor: OutlierMonitor, cell: number): object {
  const atMs = monitor.get(cell);
  if (atMs === 0) return {};
  return { secs_since_last_action: String(Math.max(0, Math.floor(((processClockMs() - atMs) | 0) / 1000))) };
}

function details(monitor: OutlierMonitor, cause: EjectionCause, rates: Rates): object {
  const rate = Math.trunc(monitor.successRate(cause.startsWith('local') ? 'local' : 'external'));
  switch (cause) {
    case 'success_rate':
    case 'local_origin_success_rate': {
      const { average, threshold } = cause === 'success_rate' ? rates.external : rates.local;
      return {
        eject_success_rate_event: {
          host_success_rate: rate,
          cluster_average_success_rate: Math.trunc(average),
          cluster_success_rate_ejection_threshold: Math.trunc(threshold),
        },
      };
    }
    case 'failure_percentage':
    case 'local_origin_failure_percentage':
      return { eject_failure_percentage_event: { host_success_rate: rate } };
    default:
      return { eject_consecutive_event: {} };
  }
}
