import { expect, test } from 'vitest';
import { builtinRegistry } from '../../../filters/index.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { startTestProxy } from '../../support/proxy.ts';
import { listen, TestClient } from '../../support/sockets.ts';
import { ask, echo, echoed, eventually, startApp } from '../../support/story.ts';

const listenerOf = (text: string) =>
  loadConfig('sidecar.yaml', { registry: builtinRegistry(), text }).bootstrap.static_resources.listeners[0];

const greeting = () =>
  listen((socket) => {
    socket.write('220 ready\r\n');
    socket.on('data', () => socket.end('250 ok\r\n'));
  });

test('protocol auto serves HTTP and, on the same port, a server that speaks first', async () => {
  await using web = await startApp(echo());
  await using mail = await greeting();
  for (const [app, check] of [
    [web.port, async (port: number) => expect(echoed(await ask(port, { path: '/web' })).path).toBe('/web')],
    [
      mail.port,
      async (port: number) => {
        const client = await TestClient.connect(port);
        await client.untilText('220 ready');
        client.write('QUIT\r\n');
        await client.untilText('250 ok');
        client.destroy();
      },
    ],
  ] as const) {
    await using proxy = await startTestProxy(`listen: 127.0.0.1:0\napp: 127.0.0.1:${app}\nprotocol: auto\n`);
    await check(proxy.port);
  }
});

test('ports of protocols whose servers speak first are not inspected, unless the file names others', () => {
  const [inspector] = listenerOf('listen: 8080\napp: 3000\nprotocol: auto\n')?.listener_filters ?? [];
  const ports = inspector?.filter_disabled?.or_match?.rules.map((rule) => rule.destination_port_range?.start);
  expect(ports).toEqual([25, 53, 3306, 27017]);
  const own = listenerOf('listen: 8080\napp: 3000\nprotocol: auto\nserver_first_ports: [5432]\n');
  expect(own?.listener_filters[0]?.filter_disabled?.destination_port_range).toEqual({ start: 5432, end: 5433 });
  const none = listenerOf(
    'listen: 8080\napp: 3000\nprotocol: auto\nserver_first_ports: []\nrace_server_first: false\n',
  );
  expect(none?.listener_filters[0]?.filter_disabled).toBeUndefined();
  expect(none?.metadata).toBeUndefined();
});

test('what HTTP filters decide cannot be passed by: with auto there are none', () => {
  const text = 'listen: 8080\napp: 3000\nprotocol: auto\nfilters:\n- rbac: { deny: [{ name: a, paths: [/admin] }] }\n';
  expect(() => listenerOf(text)).toThrow(/needs HTTP/);
  expect(() => listenerOf('listen: 8080\napp: 3000\nserver_first_ports: [25]\n')).toThrow(/needs protocol: auto/);
});

test('two sidecars tell each other by the PROXY protocol who the client is', async () => {
  await using app = await startApp(echo());
  await using inbound = await startTestProxy(
    `listen: 127.0.0.1:0\napp: 127.0.0.1:${app.port}\nproxy_protocol: required\n`,
  );
  await using outbound = await startTestProxy(`
listen: 127.0.0.1:0
app: { address: '127.0.0.1:${inbound.port}', proxy_protocol: V2 }
protocol: tcp
proxy_protocol: optional
`);
  const client = await TestClient.connect(outbound.port);
  client.write('PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await client.untilClosed();
  expect(client.text).toContain('"x-forwarded-for":"1.2.3.4"');
  expect(echoed(await ask(outbound.port)).headers['x-forwarded-for']).toBe('127.0.0.1');
  const refused = await TestClient.connect(inbound.port);
  refused.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  await refused.untilClosed();
  await eventually('counted', () => inbound.stat('proxy_proto.not_found_disallowed') === 1);
});
