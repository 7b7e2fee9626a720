import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type NetworkFilterHooks, stop } from '../../src/filter/index.ts';
import type { Connection, ConnectionHandler } from '../../src/network/connection.ts';
import { ConnectionRecord, connectionInfo } from '../../src/network/connection-record.ts';
import { NetworkFilterChain } from '../../src/network/network-filter-chain.ts';
import { MemoryConnection } from '../http/http1/codec-harness.ts';

interface Options {
  onError?: 'open' | 'closed';
  timeoutMs?: number;
}

/** A chain of these hooks in front of a terminal that answers what it reads in capitals. */
function chainOf(hooks: NetworkFilterHooks[], options: Options = {}) {
  const log: string[] = [];
  const connection = new MemoryConnection();
  const record = new ConnectionRecord(connectionInfo(connection));
  const filters = hooks.map((one, i) => ({
    name: `f${i}`,
    definition: { name: `f${i}`, semantics: {} as never, onError: options.onError ?? 'closed', create: () => one },
    hooks: one,
    timeoutMs: options.timeoutMs ?? 1000,
  }));
  let target: Connection | undefined;
  const terminal = (served: Connection): void => {
    target = served;
    const handler: ConnectionHandler = {
      onData: (buffer, length) => {
        log.push(`data ${buffer.latin1Slice(0, length)}`);
        served.writeText(buffer.latin1Slice(0, length).toUpperCase());
      },
      onEnd: () => {
        log.push('end');
        served.end();
      },
      onDrain: () => {},
      onClose: () => log.push('closed'),
    };
    served.handler = handler;
    served.resume();
  };
  const chain = new NetworkFilterChain(
    filters as never,
    terminal,
    (_, filter) => log.push(`denied by ${filter}`),
    (filter, error) => log.push(`${filter}: ${(error as Error).message}`),
  );
  return { chain, connection, record, log, serve: () => chain.serve(connection, record), served: () => target };
}

describe('a chain', () => {
  test('without hooks hands the connection on as it is', () => {
    const { serve, served, connection } = chainOf([{}, {}]);
    serve();
    expect(served()).toBe(connection);
  });

  test('asks its filters in order, and goes on when all agree', async () => {
    const asked: number[] = [];
    const filter = (i: number): NetworkFilterHooks => ({
      onConnection: () => {
        asked.push(i);
      },
    });
    const later: NetworkFilterHooks = {
      onConnection: async () => {
        await sleep(1);
        asked.push(9);
      },
    };
    const { serve, served } = chainOf([filter(0), later, filter(1)]);
    serve();
    expect(served()).toBeUndefined();
    await expect.poll(served).toBeDefined();
    expect(asked).toEqual([0, 9, 1]);
  });

  test('ends a connection that a filter refuses, and says which', () => {
    const { serve, served, connection, record, log } = chainOf([{ onConnection: () => stop('no') }, {}]);
    serve();
    expect([served(), connection.closed, log]).toEqual([undefined, true, ['denied by f0']]);
    expect(record.connectionTerminationDetails).toBe('no');
  });

  test('tells exactly those filters of the end that the connection had reached', () => {
    const ends: string[] = [];
    const { serve, chain, record } = chainOf([
      { onClose: () => ends.push('first') },
      { onConnection: () => stop('no'), onClose: () => ends.push('refusing') },
      { onConnection: () => {}, onClose: () => ends.push('never asked') },
    ]);
    serve();
    chain.closed(record);
    expect(ends).toEqual(['first', 'refusing']);
  });

  test('goes on telling the others when one throws at the end', () => {
    const ends: string[] = [];
    const { serve, chain, record, log } = chainOf([
      {
        onClose: () => {
          throw new Error('late');
        },
      },
      { onClose: () => ends.push('second') },
    ]);
    serve();
    chain.closed(record);
    expect([ends, log]).toEqual([['second'], ['f0: late']]);
  });

  test('does not serve a connection that closed while a filter thought', async () => {
    const { serve, served, connection } = chainOf([{ onConnection: () => sleep(5) }]);
    serve();
    connection.destroy();
    await sleep(15);
    expect(served()).toBeUndefined();
  });
});

describe('a filter that fails', () => {
  const throwing: NetworkFilterHooks = {
    onConnection: () => {
      throw new Error('broken');
    },
  };
  const rejecting: NetworkFilterHooks = { onConnection: () => Promise.reject(new Error('broken')) };

  test.each([throwing, rejecting])('ends its connection', async (hooks) => {
    const { serve, served, connection, log, record } = chainOf([hooks]);
    serve();
    await expect.poll(() => connection.closed).toBe(true);
    expect([served(), log]).toEqual([undefined, ['f0: broken']]);
    expect(record.connectionTerminationDetails).toBe('filter_error{f0}');
  });

  test.each([throwing, rejecting])('is passed over where it declares so', async (hooks) => {
    const { serve, served, connection, log } = chainOf([hooks], { onError: 'open' });
    serve();
    await expect.poll(served).toBeDefined();
    expect([connection.closed, log]).toEqual([false, ['f0: broken']]);
  });

  test('by never answering is limited in time', async () => {
    const { serve, connection, log } = chainOf([{ onConnection: () => new Promise(() => {}) }], { timeoutMs: 10 });
    serve();
    await expect.poll(() => connection.closed).toBe(true);
    expect(log).toEqual(['f0: did not answer within 10 ms']);
  });

  test.each(['closed', 'open'] as const)('on data fails %s', async (onError) => {
    const hooks: NetworkFilterHooks = {
      onData: () => {
        throw new Error('data');
      },
    };
    const { serve, connection, log } = chainOf([hooks], { onError });
    serve();
    connection.feed('x');
    await Promise.resolve();
    expect(connection.closed).toBe(onError === 'closed');
    expect(log).toEqual(['f0: data', onError === 'closed' ? 'closed' : 'data x']);
  });
});

describe('bytes', () => {
  const wrap = (mark: string): NetworkFilterHooks => ({
    onData: (chunk, end) => (end ? Buffer.from(`${mark}!`) : Buffer.from(mark + chunk.toString('latin1'))),
    onWrite: (chunk, end) => (end ? undefined : Buffer.from(mark + chunk.toString('latin1'))),
  });

  test('pass through all filters, those that are written in reverse order', async () => {
    const { serve, connection, log } = chainOf([wrap('a'), wrap('b')]);
    serve();
    connection.feed('x');
    await Promise.resolve();
    expect(log).toEqual(['data bax']);
    expect(connection.written).toBe('abBAX');
  });

  test('that a filter adds at the end come before it', async () => {
    const { serve, connection, log } = chainOf([wrap('a')]);
    serve();
    connection.feedEnd();
    expect(log).toEqual(['data a!', 'end']);
    expect(connection.ended).toBe(true);
    expect(connection.written).toBe('aA!');
  });

  test('that a filter swallows are not passed on', async () => {
    const { serve, connection, log } = chainOf([{ onData: () => Buffer.alloc(0) }]);
    serve();
    connection.feed('x');
    await Promise.resolve();
    expect(log).toEqual([]);
  });

  test('that a filter refuses end the connection', async () => {
    const { serve, connection, log } = chainOf([{ onData: () => stop('bad bytes') }]);
    serve();
    connection.feed('x');
    await Promise.resolve();
    expect([connection.closed, log]).toEqual([true, ['denied by f0', 'closed']]);
  });
});
