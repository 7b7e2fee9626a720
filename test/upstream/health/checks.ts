import { httpConfig, startTestProxy, type TestProxy } from '../../support/proxy.ts';

/** Checks that follow one another quickly, so that a test need not wait; no time limit comes near. */
export const QUICK = {
  timeout: '20s',
  interval: '0.01s',
  no_traffic_interval: '0.01s',
  unhealthy_threshold: 2,
  healthy_threshold: 2,
};

export const HTTP2_CLUSTER = `typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    explicit_http_config: { http2_protocol_options: {} }`;

export interface CheckedProxy extends TestProxy {
  /** A statistic of the checks. */
  check(name: string): number;
  /** Waits until a statistic of the checks fulfils the condition. */
  until(name: string, condition: (value: number) => boolean): Promise<void>;
  /** Envoy's words for the health of each endpoint. */
  flags(): Promise<string[]>;
}

/** The configuration of a proxy in front of one port, or several, whose checks are these. */
export function checkedConfig(ports: number | readonly number[], check: Record<string, unknown>, cluster = ''): string {
  const all = typeof ports === 'number' ? [ports] : ports;
  const lb_endpoints = all.map((port) => ({
    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
  }));
  const health_checks = JSON.stringify([{ ...QUICK, ...check }]);
  const config = httpConfig(all[0] ?? 0, { cluster: `health_checks: ${health_checks}\n${cluster}` });
  // The cluster of `httpConfig` has one endpoint, on the two lines below.
  return config.replace(/endpoints:\n.*\n.*\n/, `endpoints: ${JSON.stringify([{ lb_endpoints }])}\n`);
}

/** A proxy with this configuration. */
export async function checkedProxy(
  ports: number | readonly number[],
  check: Record<string, unknown>,
  cluster = '',
  concurrency = 1,
): Promise<CheckedProxy> {
  const text = checkedConfig(ports, check, cluster);
  const proxy = await startTestProxy(text, { adminAddress: { host: '127.0.0.1', port: 0 }, concurrency });
  const stat = (name: string): number => proxy.stat(`cluster.app.health_check.${name}`);
  return {
    ...proxy,
    check: stat,
    async until(name, condition) {
      for (let tries = 0; !condition(stat(name)); tries++) {
        if (tries > 2000) throw new Error(`${name} is still ${stat(name)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    async flags() {
      const { host, port } = proxy.proxy.adminAddress as { host: string; port: number };
      const text = await (await fetch(`http://${host}:${port}/clusters`)).text();
      return [...text.matchAll(/::health_flags::(.*)/g)].map((match) => match[1] ?? '');
    },
  };
}

export const hex = (text: string): object => ({ text: Buffer.from(text).toString('hex') });
