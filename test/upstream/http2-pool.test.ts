import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Endpoint } from '../../src/upstream/endpoint.ts';
import { drainPools, loadPools, poolOf } from '../../src/upstream/pools.ts';
import { type Held, holdingUpstream } from '../http/http2/holding-upstream.ts';
import { answerWell } from '../http/http2/hostile/case.ts';
import { CODE, goAway, rstStream, SETTING, settings, TYPE } from '../support/http2/frames.ts';
import { listen } from '../support/sockets.ts';
import { eventually } from '../support/story.ts';
import { acquire, Exchange, inUse, over, released } from './exchange.ts';
import { clusterConfig, makeCluster } from './support.ts';

/** A pool to a port; the test ends when it has given everything back. */
async function poolTo(port: number, fields: Record<string, unknown> = {}) {
  const config = clusterConfig({ http2_protocol_options: {}, connect_timeout: '5s', ...fields }, [`127.0.0.1:${port}`]);
  await loadPools([config]);
  const { cluster, store } = makeCluster(config);
  await cluster.start();
  const endpoint = cluster.endpoints[0] as Endpoint;
  const stat = (name: string): number => {
    const full = `cluster.web.${name}`;
    return (store.counters.get(full) ?? store.gauges.get(full))?.value ?? 0;
  };
  return {
    pool: poolOf(cluster, endpoint, 'DEFAULT', true),
    cluster,
    endpoint,
    stat,
    async [Symbol.asyncDispose]() {
      drainPools(endpoint, true);
      await released(cluster);
      expect(stat('upstream_rq_active')).toBe(0);
      expect(stat('upstream_rq_pending_active')).toBe(0);
      expect(stat('upstream_cx_active')).toBe(0);
      expect(endpoint.activeRequests).toBe(0);
      cluster.stop();
    },
  };
}

const breakers = (thresholds: Record<string, number>) => ({ circuit_breakers: { thresholds: [thresholds] } });
const oneStream = { settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 1 } };

/** A pool with one connection, of which the settings are known: it takes one stream at a time. */
async function oneAtATime(app: Awaited<ReturnType<typeof holdingUpstream>>, max_connections = 1) {
  const to = await poolTo(app.port, breakers({ max_connections }));
  const warm = acquire(to.pool, '/warm');
  answer(await app.got('/warm'));
  await over(warm);
  return to;
}

const answer = ({ upstream, id }: Held): void => answerWell(upstream, id);

test('exchanges share a connection, and its end gives back what they hold', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port);
  const exchanges = ['/1', '/2', '/3'].map((path) => acquire(to.pool, path));
  expect(inUse(to.cluster)).toEqual({ requests: 0, pending: 3, connections: 1 });
  await Promise.all(['/1', '/2', '/3'].map((path) => app.got(path)));
  expect(inUse(to.cluster)).toEqual({ requests: 3, pending: 0, connections: 1 });
  answer(await app.got('/2'));
  await over(exchanges[1] as Exchange);
  expect(inUse(to.cluster).requests).toBe(2);
  app.peers[0]?.cut();
  await over(...exchanges);
  expect(exchanges.map(({ reset }) => reset)).toEqual(['connection_termination', undefined, 'connection_termination']);
  await released(to.cluster);
});

test('every way in which an exchange ends gives its place back', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port);
  const ends: Record<string, (held: Held, exchange: Exchange) => void> = {
    answered: (held) => answer(held),
    'reset by the app': ({ upstream, id }) => upstream.write(rstStream(id)),
    'given up': (_held, exchange) => {
      exchange.codec?.resetStream();
      exchange.onUpstreamReset('local_reset', '');
    },
    'left out by GOAWAY': ({ upstream, id }) => upstream.write(goAway(id - 2)),
    'broken by the app': ({ upstream, id }) => upstream.write(rstStream(0, id)),
  };
  for (const [how, end] of Object.entries(ends)) {
    const exchange = acquire(to.pool, `/${how}`, false);
    end(await app.got(`/${how}`), exchange);
    await over(exchange);
    await eventually(`${how}: the place is free`, () => inUse(to.cluster).requests === 0);
  }
});

test('a request that cannot be written gives its place back, and the connection goes on', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port);
  const good = acquire(to.pool, '/good');
  const held = await app.got('/good');
  const bad = new Exchange('/');
  bad.request.path = 'no slash';
  to.pool.acquire(bad, false);
  expect([bad.reset, inUse(to.cluster).requests]).toEqual(['local_reset', 1]);
  const next = acquire(to.pool, '/next');
  answer(held);
  answer(await app.got('/next'));
  await over(good, next);
  expect([good.status, next.status, app.peers.length]).toEqual([200, 200, 1]);
});

test('when all streams are taken requests wait, in order, and a cancelled one is left out', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app);
  const exchanges = ['/1', '/2', '/3', '/4'].map((path) => acquire(to.pool, path));
  expect(inUse(to.cluster)).toEqual({ requests: 1, pending: 3, connections: 1 });
  to.pool.cancel(exchanges[1] as Exchange);
  to.pool.cancel(exchanges[1] as Exchange);
  expect(inUse(to.cluster).pending).toBe(2);
  for (const path of ['/1', '/3', '/4']) answer(await app.got(path));
  await over(exchanges[0] as Exchange, exchanges[2] as Exchange, exchanges[3] as Exchange);
  expect(app.held.map(({ path }) => path)).toEqual(['/warm', '/1', '/3', '/4']);
  expect(to.stat('upstream_rq_cancelled')).toBe(1);
  expect(app.peers.length).toBe(1);
});

test('full connections get company, up to max_connections', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app, 3);
  const exchanges = ['/1', '/2', '/3', '/4', '/5'].map((path) => acquire(to.pool, path));
  for (let answered = 1; answered < 6; answered++) {
    await eventually('one more is with the app', () => app.held.length > answered);
    answer(app.held[answered] as Held);
  }
  await over(...exchanges);
  expect(app.peers.length).toBeGreaterThan(1);
  expect(app.peers.length).toBeLessThanOrEqual(3);
});

test('limits of requests and of waiting requests are told at once', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await poolTo(app.port, breakers({ max_connections: 1, max_requests: 1, max_pending_requests: 1 }));
  const first = acquire(to.pool, '/first');
  const second = acquire(to.pool, '/second');
  expect(second.reset).toBe('overflow');
  expect(to.stat('upstream_rq_pending_overflow')).toBe(1);
  const held = await app.got('/first');
  const third = acquire(to.pool, '/third');
  expect(third.reset).toBe('overflow');
  expect(to.stat('upstream_rq_active_overflow')).toBe(1);
  answer(held);
  await over(first);
});

test('requests that waited when the limit of requests is reached overflow, and none is lost', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port, breakers({ max_requests: 2 }));
  const exchanges = ['/1', '/2', '/3', '/4'].map((path) => acquire(to.pool, path));
  await app.got('/1');
  await app.got('/2');
  expect(exchanges.map(({ reset }) => reset)).toEqual([undefined, undefined, 'overflow', 'overflow']);
  for (const held of app.held) answer(held);
  await over(...exchanges);
});

test('a request that waits is served although its pool is drained, by one connection', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port);
  const exchanges = [acquire(to.pool, '/1'), acquire(to.pool, '/2')];
  drainPools(to.endpoint);
  answer(await app.got('/1'));
  answer(await app.got('/2'));
  await over(...exchanges);
  expect(exchanges.map(({ status }) => status)).toEqual([200, 200]);
  await released(to.cluster);
  expect(app.peers.length).toBe(1);
});

test('a request that waits for a stream of a drained connection gets another one', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app, 2);
  const running = acquire(to.pool, '/running');
  const held = await app.got('/running');
  const waiting = acquire(to.pool, '/waiting');
  drainPools(to.endpoint);
  answer(await app.got('/waiting'));
  await over(waiting);
  expect(waiting.status).toBe(200);
  answer(held);
  await over(running);
  await released(to.cluster);
});

test('close ends what runs and what waits', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app);
  const exchanges = [acquire(to.pool, '/runs'), acquire(to.pool, '/waits')];
  await app.got('/runs');
  to.pool.close();
  await over(...exchanges);
  expect(exchanges.map(({ reset }) => reset)).toEqual(['connection_termination', 'connection_failure']);
  expect(to.stat('upstream_rq_cancelled')).toBe(0);
  await released(to.cluster);
});

test('close while connecting ends what waits', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port);
  const exchange = acquire(to.pool);
  to.pool.close();
  expect(exchange.reset).toBe('connection_failure');
  await released(to.cluster);
});

test('what waits fails with the attempt to connect', async () => {
  const server = await listen(() => {});
  await server[Symbol.asyncDispose]();
  await using to = await poolTo(server.port);
  const exchanges = [acquire(to.pool), acquire(to.pool)];
  await over(...exchanges);
  expect(exchanges.map(({ reset, failure }) => [reset, failure])).toEqual(
    Array(2).fill(['connection_failure', 'delayed connect error: Connection refused']),
  );
  await released(to.cluster);
});

test('a server that ends connections before it speaks fails what was sent, and nothing waits for ever', async () => {
  await using server = await listen((socket) => socket.destroy());
  await using to = await poolTo(server.port, breakers({ max_connections: 1 }));
  const exchanges = Array.from({ length: 150 }, () => acquire(to.pool));
  await over(...exchanges);
  expect(new Set(exchanges.map(({ reset }) => reset))).toEqual(new Set(['connection_termination']));
  await released(to.cluster);
});

test('before the server’s settings 100 streams are opened; the others wait for what it says', async () => {
  await using app = await holdingUpstream({ settings: null, acknowledges: false, opensWindows: false });
  await using to = await poolTo(app.port, {
    http2_protocol_options: { max_concurrent_streams: 1000 },
    ...breakers({ max_connections: 1 }),
  });
  const exchanges = Array.from({ length: 130 }, (_, i) => acquire(to.pool, `/${i}`));
  await eventually('100 are with the app', () => app.held.length === 100);
  expect(inUse(to.cluster)).toEqual({ requests: 100, pending: 30, connections: 1 });
  app.peers[0]?.write(settings());
  await eventually('all are with the app', () => app.held.length === 130);
  for (const held of app.held) answer(held);
  await over(...exchanges);
  expect(app.peers.length).toBe(1);
});

test('GOAWAY sends what waits to another connection, and the old one ends with its last stream', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app, 2);
  const running = acquire(to.pool, '/running');
  const held = await app.got('/running');
  held.upstream.write(goAway(held.id));
  const next = acquire(to.pool, '/next');
  const second = await app.got('/next');
  expect(second.upstream).not.toBe(held.upstream);
  answer(held);
  answer(second);
  await over(running, next);
  await held.upstream.untilClosed();
  await eventually('that is counted', () => to.stat('upstream_cx_close_notify') === 1);
});

test('a connection serves as many requests as it may', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port, { common_http_protocol_options: { max_requests_per_connection: 2 } });
  for (const path of ['/1', '/2', '/3', '/4', '/5']) {
    const exchange = acquire(to.pool, path);
    answer(await app.got(path));
    await over(exchange);
  }
  expect(app.held.map(({ upstream }) => app.peers.indexOf(upstream))).toEqual([0, 0, 1, 1, 2]);
  expect(to.stat('upstream_cx_max_requests')).toBe(2);
  await app.peers[0]?.frame('GOAWAY', ({ type }) => type === TYPE.GOAWAY);
  await app.peers[0]?.untilClosed();
});

test('an idle connection ends with the idle timeout, and says so', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port, { common_http_protocol_options: { idle_timeout: '0.05s' } });
  const exchange = acquire(to.pool, '/1');
  answer(await app.got('/1'));
  await over(exchange);
  await app.peers[0]?.frame('GOAWAY', ({ type }) => type === TYPE.GOAWAY);
  await released(to.cluster);
  expect(to.stat('upstream_cx_idle_timeout')).toBe(1);
});

test('a busy connection is not idle', async () => {
  await using app = await holdingUpstream();
  await using to = await poolTo(app.port, { common_http_protocol_options: { idle_timeout: '0.05s' } });
  const first = acquire(to.pool, '/1');
  answer(await app.got('/1'));
  await over(first);
  const busy = acquire(to.pool, '/busy');
  const held = await app.got('/busy');
  await new Promise((done) => setTimeout(done, 150));
  answer(held);
  await over(busy);
  expect([busy.status, app.peers.length]).toEqual([200, 1]);
});

test('a server that allows no streams refuses what comes before it says so, and no more is sent to it', async () => {
  await using app = await holdingUpstream({ settings: { [SETTING.MAX_CONCURRENT_STREAMS]: 0 } });
  await using to = await poolTo(app.port, breakers({ max_connections: 1 }));
  const first = acquire(to.pool, '/1');
  const { upstream, id } = await app.got('/1');
  upstream.write(rstStream(id, CODE.REFUSED_STREAM));
  await over(first);
  expect(first.reset).toBe('remote_refused');
  const second = acquire(to.pool, '/2');
  await upstream.roundTrip();
  expect([second.over, inUse(to.cluster).pending]).toEqual([false, 1]);
  upstream.write(settings({ [SETTING.MAX_CONCURRENT_STREAMS]: 1 }));
  answer(await app.got('/2'));
  await over(second);
  expect(second.status).toBe(200);
});

test('a request that an ended one makes at once is served like any other', async () => {
  await using app = await holdingUpstream(oneStream);
  await using to = await oneAtATime(app);
  let retry: Exchange | undefined;
  const first = acquire(to.pool, '/first');
  first.onOver = () => {
    retry = acquire(to.pool, '/retry');
  };
  const { upstream, id } = await app.got('/first');
  const waiting = acquire(to.pool, '/waiting');
  upstream.write(rstStream(id));
  answer(await app.got('/waiting'));
  answer(await app.got('/retry'));
  await over(waiting, retry as unknown as Exchange);
  expect([first.reset, waiting.status, retry?.status]).toEqual(['remote_reset', 200, 200]);
});

/** What a test does next: ask, or let the n-th open one end in some way. */
const step = fc.record({
  act: fc.constantFrom('ask', 'ask', 'ask', 'answer', 'reset', 'give up', 'go away', 'cut', 'drain'),
  which: fc.nat(20),
});

test('whatever ends in whatever order, everything is given back and each exchange ends once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.constantFrom(1, 2, 100), async (steps, streams) => {
      await using app = await holdingUpstream({ settings: { [SETTING.MAX_CONCURRENT_STREAMS]: streams } });
      await using to = await poolTo(app.port, breakers({ max_connections: 2, max_requests: 4 }));
      const exchanges: Exchange[] = [];
      for (const [i, { act, which }] of steps.entries()) {
        const open = app.held.filter(({ path }) => exchanges[Number(path.slice(1))]?.over === false);
        const held = open[which % Math.max(open.length, 1)];
        if (act === 'ask') exchanges.push(acquire(to.pool, `/${exchanges.length}`, which % 2 === 0));
        else if (act === 'drain') drainPools(to.endpoint);
        else if (act === 'give up') {
          const exchange = exchanges.filter((one) => !one.over)[0];
          if (exchange === undefined) continue;
          if (exchange.codec === undefined) to.pool.cancel(exchange);
          else exchange.codec.resetStream();
          exchange.onUpstreamReset('local_reset', '');
        } else if (held === undefined) continue;
        else if (act === 'answer') answer(held);
        else if (act === 'reset')
          held.upstream.write(rstStream(held.id, i % 2 === 0 ? CODE.CANCEL : CODE.REFUSED_STREAM));
        else if (act === 'go away') held.upstream.write(goAway(Math.max(0, held.id - 2 * (i % 2))));
        else if (act === 'cut') held.upstream.cut();
        if (which % 3 === 0) await new Promise((done) => setImmediate(done));
      }
      while (!exchanges.every((exchange) => exchange.over)) {
        for (const held of app.held) if (exchanges[Number(held.path.slice(1))]?.over === false) answer(held);
        await new Promise((done) => setTimeout(done, 1));
      }
      await eventually('no request is under way', () => {
        const { requests, pending } = inUse(to.cluster);
        return requests === 0 && pending === 0;
      });
    }),
    { numRuns: 40 },
  );
}, 60_000);
