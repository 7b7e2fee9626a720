import type { Logger } from '../../filter/env.ts';
import { type LogSink, openSink } from '../../observe/access-log/sink.ts';
import type { Endpoint } from '../endpoint.ts';

/** Why a check failed, in the words of envoy.data.core.v3.HealthCheckFailureType. */
export type FailureType = 'ACTIVE' | 'PASSIVE' | 'NETWORK' | 'NETWORK_TIMEOUT';

/** What ended an endpoint's health, or a check; `http_status_code` is 0 without an answer in HTTP. */
interface FailureFacts {
  readonly failure_type: FailureType;
  readonly http_status_code: number;
}

/** One of the events of envoy.data.core.v3.HealthCheckEvent. */
export type HealthEvent =
  | { readonly eject_unhealthy_event: FailureFacts }
  | { readonly add_healthy_event: { readonly first_check: boolean } }
  | { readonly health_check_failure_event: FailureFacts & { readonly first_check: boolean } }
  | { readonly successful_health_check_event: Record<string, never> }
  | { readonly degraded_healthy_host: Record<string, never> }
  | { readonly no_longer_degraded_host: Record<string, never> };

/** Writes envoy.data.core.v3.HealthCheckEvent, one JSON object per line. */
export class HealthEventLog {
  private readonly sink: LogSink;
  private readonly checkerType: string;
  private readonly clusterName: string;

  /** @param checkerType `HTTP`, `TCP` or `GRPC` */
  constructor(path: string, checkerType: string, clusterName: string, log: Logger) {
    this.sink = openSink(path, { log });
    this.checkerType = checkerType;
    this.clusterName = clusterName;
  }

  write(endpoint: Endpoint, event: HealthEvent): void {
    const { host, port, pipe, locality } = endpoint;
    const line = {
      health_checker_type: this.checkerType,
      host:
        pipe === undefined
          ? { socket_address: { protocol: 'TCP', address: host, port_value: port } }
          : { pipe: { path: endpoint.address } },
      cluster_name: this.clusterName,
      ...event,
      timestamp: new Date().toISOString(),
      locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subZone },
    };
    this.sink.write(`${JSON.stringify(line)}\n`);
  }

  close(): void {
    void this.sink.close();
  }
}
