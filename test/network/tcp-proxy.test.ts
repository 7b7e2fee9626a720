import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { startTestProxy, tcpConfig } from '../support/proxy.ts';
import { listen, TestClient } from '../support/sockets.ts';
import { spliceProblem } from '../support/splice.ts';
import { eventually } from '../support/story.ts';

const problem = spliceProblem();

/** The same story, whoever forwards: what a session does must not depend on it. */
describe.for(['off', 'on'] as const)('with splice %s', (mode) => {
  const splice = { mode };
  beforeEach((context) => {
    if (mode === 'on' && problem !== undefined) context.skip(`needs a kernel that splices: ${problem}`);
  });

  test('bytes pass both ways unchanged, in any size', async () => {
    await using app = await listen((socket) => socket.pipe(socket));
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    for (const size of [1, 100, 8192, 8193, 65_536, 65_537, 300_000, 5_000_000]) {
      const sent = randomBytes(size);
      const client = await TestClient.connect(proxy.port);
      client.write(sent);
      await client.until((one) => one.received.length >= size);
      expect(createHash('sha1').update(client.received).digest('hex')).toBe(
        createHash('sha1').update(sent).digest('hex'),
      );
      client.destroy();
    }
  });

  test('each direction ends by itself', async () => {
    await using app = await listen((socket) => {
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString();
      });
      socket.on('end', () => {
        socket.write(`got ${received}`);
        setTimeout(() => socket.end(' and more'), 30);
      });
    });
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const client = await TestClient.connect(proxy.port);
    client.write('question');
    client.socket.end();
    await client.untilClosed();
    expect(client.text).toBe('got question and more');
  });

  test('a server that speaks first is heard', async () => {
    await using app = await listen((socket) => socket.write('220 ready\r\n'));
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const client = await TestClient.connect(proxy.port);
    await client.untilText('220 ready');
    client.destroy();
  });

  test('a reset of either side reaches the other one as a reset', async () => {
    await using app = await listen((socket) => {
      socket.on('data', (chunk) => {
        if (chunk.toString() === 'reset me') socket.resetAndDestroy();
      });
    });
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const client = await TestClient.connect(proxy.port);
    client.write('reset me');
    await client.until((one) => one.closed);
    expect(client.error?.code).toBe('ECONNRESET');
    const other = await TestClient.connect(proxy.port);
    other.write('x');
    await expect.poll(() => app.sockets.length).toBe(2);
    const code = new Promise((resolve) =>
      app.sockets[1]?.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)),
    );
    other.socket.resetAndDestroy();
    expect(await code).toBe('ECONNRESET');
  });

  test('a slow reader slows the writer down, and everything arrives', async () => {
    const size = 40_000_000;
    let written = 0;
    await using app = await listen((socket) => {
      const chunk = randomBytes(100_000);
      const push = (): void => {
        while (written < size) {
          written += chunk.length;
          if (!socket.write(chunk)) {
            socket.once('drain', push);
            return;
          }
        }
        socket.end();
      };
      push();
    });
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const client = await TestClient.connect(proxy.port);
    client.socket.pause();
    const before = process.memoryUsage().rss;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(size);
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    let total = client.received.length;
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk) => {
      total += chunk.length;
    });
    client.socket.resume();
    await client.until((one) => one.ended, 15_000);
    expect(total).toBe(size);
  });

  test('connecting is tried again as often as configured, then the log says why it failed', async () => {
    const path = join(tmpdir(), `tcp-proxy-${process.pid}.log`);
    const closed = await listen(() => {});
    const { port } = closed;
    await closed[Symbol.asyncDispose]();
    const log = `max_connect_attempts: 3
access_log:
- name: file
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
    path: ${path}
    log_format: { text_format_source: { inline_string: "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_TRANSPORT_FAILURE_REASON%\\n" } }`;
    {
      await using proxy = await startTestProxy(tcpConfig(port, log), { splice });
      const client = await TestClient.connect(proxy.port);
      await client.until((one) => one.closed || one.ended);
      expect(proxy.stat('cluster.app.upstream_cx_connect_fail')).toBe(3);
      expect(proxy.stat('cluster.app.upstream_cx_connect_attempts_exceeded')).toBe(1);
    }
    expect(readFileSync(path, 'utf8')).toBe('UF,URX 0 0 app delayed_connect_error:_Connection_refused\n');
    rmSync(path);
  });

  test('a wait lies between attempts to connect where the configuration asks for one', async () => {
    const closed = await listen(() => {});
    await closed[Symbol.asyncDispose]();
    const fields = 'max_connect_attempts: 6\nbackoff_options: { base_interval: 0.2s, max_interval: 0.2s }';
    await using proxy = await startTestProxy(tcpConfig(closed.port, fields), { splice });
    const start = performance.now();
    const client = await TestClient.connect(proxy.port);
    await client.untilClosed();
    // Five waits of 0 to 200 ms: all of them short has a chance of one in 200,000.
    expect(performance.now() - start).toBeGreaterThan(80);
    expect(proxy.stat('cluster.app.upstream_cx_connect_fail')).toBe(6);
  });

  test('the longest time of a session varies by the jitter', async () => {
    await using app = await listen((socket) => void socket.resume());
    const fields =
      'max_downstream_connection_duration: 0.1s\nmax_downstream_connection_duration_jitter_percentage: { value: 100 }';
    await using proxy = await startTestProxy(tcpConfig(app.port, fields), { splice });
    const lives = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const start = performance.now();
        const client = await TestClient.connect(proxy.port);
        await client.untilClosed();
        return performance.now() - start;
      }),
    );
    expect(Math.min(...lives)).toBeGreaterThan(98);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(20);
  });

  test('a session without traffic ends after the idle timeout, one with traffic does not', async () => {
    await using app = await listen((socket) => socket.pipe(socket));
    await using proxy = await startTestProxy(tcpConfig(app.port, 'idle_timeout: 0.3s'), { splice });
    const quiet = await TestClient.connect(proxy.port);
    const busy = await TestClient.connect(proxy.port);
    const ticking = setInterval(() => busy.write('.'), 50);
    await quiet.until((one) => one.closed || one.ended);
    expect(busy.closed || busy.ended).toBe(false);
    expect(proxy.stat('tcp.test.idle_timeout')).toBe(1);
    clearInterval(ticking);
    busy.destroy();
  });

  test('connections above the circuit breaker are closed and counted', async () => {
    await using app = await listen((socket) => socket.pipe(socket));
    const limit = 'circuit_breakers: { thresholds: [{ max_connections: 1 }] }';
    await using proxy = await startTestProxy(tcpConfig(app.port, '', limit), { splice });
    const first = await TestClient.connect(proxy.port);
    first.write('a');
    await first.untilText('a');
    const second = await TestClient.connect(proxy.port);
    await second.until((one) => one.closed || one.ended);
    expect(proxy.stat('cluster.app.upstream_cx_overflow')).toBe(1);
    first.destroy();
    await expect.poll(() => proxy.stat('cluster.app.upstream_cx_active')).toBe(0);
    const third = await TestClient.connect(proxy.port);
    third.write('b');
    await third.untilText('b');
    third.destroy();
  });

  test('a slow app pauses the client, a slow client the app, and both are counted', async () => {
    const size = 24 * 1024 * 1024;
    let received = 0;
    await using app = await listen((socket) => {
      socket.pause();
      socket.on('data', (chunk) => {
        received += chunk.length;
      });
    });
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const names = ['tcp.test.downstream', 'cluster.app.upstream'].map((name) => `${name}_flow_control`);
    const [up, down] = names as [string, string];
    const client = await TestClient.connect(proxy.port);
    client.socket.pause();
    client.write(Buffer.alloc(size));
    await eventually('the client is paused', () => proxy.stat(`${up}_paused_reading_total`) > 0);
    app.sockets[0]?.resume().write(Buffer.alloc(size));
    await eventually('the app is paused', () => proxy.stat(`${down}_paused_reading_total`) > 0);
    let answered = 0;
    client.socket.removeAllListeners('data').on('data', (chunk) => {
      answered += chunk.length;
    });
    client.socket.resume();
    await eventually('all bytes have come', () => received === size && answered === size, 10_000);
    for (const name of names) {
      await eventually('both go on', () => counted(`${name}_resumed`) === counted(`${name}_paused`));
    }
    expect(proxy.stat(`${down}_backed_up_total`)).toBe(0);
    client.destroy();

    function counted(name: string): number {
      return proxy.stat(`${name}_reading_total`);
    }
  });

  test('who ended an upstream connection is counted', async () => {
    await using app = await listen((socket) => {
      socket.on('data', (chunk) => {
        if (chunk.toString() === 'end') socket.end();
      });
      socket.on('end', () => socket.end());
    });
    await using proxy = await startTestProxy(tcpConfig(app.port), { splice });
    const destroyed = (by: string) => proxy.stat(`cluster.app.upstream_cx_destroy_${by}`);
    const client = await TestClient.connect(proxy.port);
    client.write('end');
    await client.untilClosed();
    client.destroy();
    await eventually('the app ended', () => destroyed('remote') === 1);
    const gone = await TestClient.connect(proxy.port);
    await eventually('connected', () => app.sockets.length === 2);
    gone.socket.resetAndDestroy();
    await eventually('the client ended', () => destroyed('local') === 1);
    expect(destroyed('remote')).toBe(1);
  });
});

test('what the kernel forwards is counted as if the proxy had', async (context) => {
  if (problem !== undefined) context.skip(`needs a kernel that splices: ${problem}`);
  await using app = await listen((socket) => socket.pipe(socket));
  await using proxy = await startTestProxy(tcpConfig(app.port), { splice: { mode: 'on' } });
  const client = await TestClient.connect(proxy.port);
  client.write('x'.repeat(1000));
  await client.until((one) => one.received.length === 1000);
  expect(proxy.stat('tcp.test.spliced_cx_active')).toBe(1);
  client.socket.end();
  await client.untilClosed();
  await eventually('the session is over', () => proxy.stat('tcp.test.spliced_cx_active') === 0);
  expect(proxy.stat('tcp.test.spliced_cx_total')).toBe(1);
  expect(proxy.stat('tcp.test.spliced_bytes_total')).toBe(2000);
  for (const name of ['tcp.test.downstream_cx_rx_bytes_total', 'tcp.test.downstream_cx_tx_bytes_total']) {
    expect(proxy.stat(name)).toBe(1000);
  }
  for (const name of ['upstream_cx_rx_bytes_total', 'upstream_cx_tx_bytes_total']) {
    expect(proxy.stat(`cluster.app.${name}`)).toBe(1000);
  }
});

test('sessions behind many short ones are served in user space, until one lives longer', async (context) => {
  if (problem !== undefined) context.skip(`needs a kernel that splices: ${problem}`);
  await using app = await listen((socket) => socket.pipe(socket));
  await using proxy = await startTestProxy(tcpConfig(app.port), { splice: { mode: 'auto' } });
  const spliced = (): number => proxy.stat('tcp.test.spliced_cx_total');
  const over = (): number => proxy.stat('tcp.test.downstream_cx_rx_bytes_total');
  const visit = async (bytes: number): Promise<void> => {
    const before = over();
    const client = await TestClient.connect(proxy.port);
    client.write('x'.repeat(bytes));
    await client.until((one) => one.received.length === bytes);
    client.socket.end();
    await client.untilClosed();
    await eventually('the session is over', () => over() === before + bytes);
  };
  for (let i = 0; i < 40; i++) await visit(1);
  const few = spliced();
  // A busy machine may make one of them long.
  expect(few).toBeLessThan(40);
  await visit(100_000);
  const before = spliced();
  await visit(1);
  expect(spliced()).toBe(before + 1);
});
