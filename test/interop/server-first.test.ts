import { expect, test } from 'vitest';
import {
  bootstrap,
  clusterOf,
  httpInspector,
  httpManager,
  listenerOf,
  tcpProxy,
  tlsInspector,
} from '../support/listener-config.ts';
import { missing, output, Program } from '../support/program.ts';
import { startTestProxy } from '../support/proxy.ts';
import { unusedPort } from '../support/proxy-process.ts';
import { ask, echo, echoed, startApp } from '../support/story.ts';

/** MariaDB speaks first: its handshake packet has what the client needs to log in. */
async function startMariadb(): Promise<{ readonly port: number; readonly program: Program }> {
  const port = await unusedPort();
  const args = ['--no-defaults', '--user=root', '--datadir=$dir/data', '--socket=$dir/mariadb.sock'];
  const quiet = [
    '--skip-grant-tables',
    '--bind-address=127.0.0.1',
    '--innodb-buffer-pool-size=8M',
    '--innodb-log-file-size=4M',
  ];
  const program = await Program.start('mariadbd', [...args, ...quiet, `--port=${port}`], port, {}, (folder) =>
    output(
      'mariadb-install-db',
      [
        '--no-defaults',
        '--user=root',
        `--datadir=${folder}/data`,
        '--innodb-buffer-pool-size=8M',
        '--innodb-log-file-size=4M',
        '--skip-test-db',
      ],
      60_000,
    ),
  );
  return { port, program };
}

const query = (port: number) =>
  output('mariadb', [
    '--no-defaults',
    '--protocol=tcp',
    '--host=127.0.0.1',
    `--port=${port}`,
    '--user=root',
    '--skip-ssl',
    '--skip-column-names',
    '--execute=select 6*7',
  ]);

test('one port serves HTTP and MariaDB, whose server speaks first, and no client waits for an inspector', async (context) => {
  const lacking = missing('mariadbd', 'mariadb-server') ?? missing('mariadb', 'mariadb-client');
  if (lacking !== undefined) return context.skip(lacking);
  await using app = await startApp(echo());
  const database = await startMariadb();
  await using _ = database.program;
  const chains = {
    filter_chains: [
      {
        filter_chain_match: {
          transport_protocol: 'raw_buffer',
          application_protocols: ['http/1.0', 'http/1.1', 'h2c'],
        },
        filters: [httpManager('app')],
      },
    ],
    default_filter_chain: { filters: [tcpProxy('database')] },
  };
  // Inspectors that wait for ever: who is answered did not wait for them.
  const inspectors = { listener_filters: [tlsInspector(), httpInspector()], listener_filters_timeout: '0s' };
  const racing = { metadata: { filter_metadata: { 'outrigger.v1': { race_server_first: true } } } };
  const clusters = [clusterOf('app', app.port), clusterOf('database', database.port)];
  await using raced = await startTestProxy(bootstrap([listenerOf({ ...chains, ...inspectors, ...racing })], clusters));
  expect((await query(raced.port)).trim()).toBe('42');
  expect(raced.stat('listener.127.0.0.1_0.server_first.server_spoke')).toBe(1);
  expect(echoed(await ask(raced.port)).method).toBe('GET');

  const everyPort = { filter_disabled: { destination_port_range: { start: 1, end: 65536 } } };
  const declared = {
    listener_filters: [tlsInspector(), httpInspector()].map((filter) => ({ ...filter, ...everyPort })),
  };
  await using plain = await startTestProxy(
    bootstrap([listenerOf({ ...chains, ...declared, listener_filters_timeout: '0s' })], clusters),
  );
  expect((await query(plain.port)).trim()).toBe('42');
}, 90_000);
