import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { LOG_FILE, type ProxyName, ProxyProcess } from '../support/proxy-process.ts';
import { TestClient } from '../support/sockets.ts';

const MONITOR = 'envoy.resource_monitors.injected_resource';
const ACTION = 'envoy.overload_actions';

function configuration(pressure: string): string {
  const threshold = (action: string, value: number): string =>
    `  - { name: ${ACTION}.${action}, triggers: [ { name: ${MONITOR}, threshold: { value: ${value} } } ] }`;
  return `
overload_manager:
  refresh_interval: 0.05s
  resource_monitors:
  - name: ${MONITOR}
    typed_config: { "@type": type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig, filename: ${pressure} }
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config: { "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 5 }
  actions:
${threshold('stop_accepting_requests', 0.5)}
${threshold('disable_http_keepalive', 0.3)}
${threshold('stop_accepting_connections', 0.9)}
  - { name: ${ACTION}.reject_incoming_connections, triggers: [ { name: ${MONITOR}, scaled: { scaling_threshold: 0.7, saturation_threshold: 0.8 } } ] }
static_resources:
  listeners:
  - name: http
    stat_prefix: l
    address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: t
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: ${LOG_FILE}
              log_format: { text_format_source: { inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n" } }
          route_config:
            virtual_hosts: [ { name: all, domains: ["*"], routes: [ { match: { prefix: / }, direct_response: { status: 200, body: { inline_string: fine } } } ] } ]
          http_filters:
          - { name: router, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router } }
`;
}

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

/** A request on a connection of its own: status, body and whether the connection is to end; '' when it is closed without an answer. */
async function ask(port: number): Promise<string> {
  const client = await TestClient.connect(port);
  client.write(GET);
  await client.until(({ text, ended, closed }) => /\r\n\r\n(fine|envoy overloaded)/.test(text) || ended || closed);
  const { text } = client;
  client.destroy();
  if (text === '') return '';
  const [head = '', body = ''] = text.split('\r\n\r\n');
  return `${head.slice(9, 12)} ${body}${/connection: close/i.test(head) ? ' close' : ''}`;
}

/** Everything that a proxy does as a pressure rises and falls, the same for Outrigger and Envoy. */
export async function overloadStory(name: ProxyName): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'overload-'));
  const file = join(folder, 'pressure');
  const set = (value: number): void => {
    writeFileSync(`${file}.new`, String(value));
    renameSync(`${file}.new`, file);
  };
  set(0);
  try {
    await using proxy = await ProxyProcess.start(name, configuration(file));
    const { port } = proxy;
    const reach = async (value: number): Promise<void> => {
      set(value);
      await proxy.stat(`overload.${MONITOR}.pressure`, (pressure) => pressure === Math.round(value * 100));
    };
    const active = (action: string) => proxy.stat(`overload.${ACTION}.${action}.active`);
    expect(await ask(port)).toBe('200 fine');
    await reach(0.4);
    expect(await active('disable_http_keepalive')).toBe(1);
    expect(await ask(port)).toBe('200 fine close');
    await reach(0.6);
    expect(await ask(port)).toBe('503 envoy overloaded close');
    expect(await proxy.stat('http.t.downstream_rq_overload_close')).toBe(1);
    expect(await proxy.stat('http.t.downstream_cx_overload_disable_keepalive')).toBe(2);
    await reach(0.75);
    expect(await active('reject_incoming_connections')).toBe(0);
    expect(await proxy.stat(`overload.${ACTION}.reject_incoming_connections.scale_percent`)).toBeGreaterThan(45);
    await reach(0.85);
    expect(await active('reject_incoming_connections')).toBe(1);
    expect(await ask(port)).toBe('');
    expect(await proxy.stat('listener.l.downstream_cx_overload_reject')).toBe(1);
    await reach(0.95);
    expect(await active('stop_accepting_connections')).toBe(1);
    const waiting = await TestClient.connect(port);
    waiting.write(GET);
    await reach(0.96);
    await reach(0.95);
    expect([waiting.text, waiting.ended, waiting.closed]).toEqual(['', false, false]);
    await reach(0);
    await waiting.untilText('fine');
    waiting.destroy();
    expect(await ask(port)).toBe('200 fine');
    await proxy.stat('listener.l.downstream_cx_active', (open) => open === 0);
    const open = await Promise.all(Array.from({ length: 5 }, () => TestClient.connect(port)));
    await proxy.stat('listener.l.downstream_cx_active', (count) => count === 5);
    expect(await ask(port)).toBe('');
    expect(await proxy.stat('listener.l.downstream_global_cx_overflow')).toBe(1);
    open.pop()?.destroy();
    await proxy.stat('listener.l.downstream_cx_active', (count) => count === 4);
    expect(await ask(port)).toBe('200 fine');
    for (const client of open) client.destroy();
    await proxy.logged(() => proxy.log().length >= 5);
    expect(proxy.log().slice(0, 3)).toEqual(['200 - direct_response', '200 - direct_response', '503 - overload']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
