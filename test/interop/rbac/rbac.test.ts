import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findEnvoy, NO_ENVOY } from '../../support/envoy.ts';
import { startTestProxy, type TestProxy } from '../../support/proxy.ts';
import { TestPki } from '../../support/tls.ts';
import { EnvoyProcess } from '../differential/harness/envoy-process.ts';
import { Client } from './client.ts';
import { configuration, type Judged, type Ports } from './configuration.ts';
import { connectionRulesets, type Request, requestRulesets, requests, type Way, ways } from './grammar.ts';

const envoyProgram = findEnvoy();

/** Other rules and requests: OUTRIGGER_RBAC_SEED=2 */
const SEED = Number(process.env.OUTRIGGER_RBAC_SEED ?? 1);
const RULESETS = 200;
const REQUESTS_EACH = 6;
const LISTENERS = 60;
const CONNECTIONS_EACH = 4;
/** Requests under way at the same time. */
const PARALLEL = 16;

interface Exchange {
  readonly route: number;
  readonly way: Way;
  readonly request: Request;
}

const sample = <T>(arbitrary: fc.Arbitrary<T>, count: number, salt: number): T[] =>
  fc.sample(arbitrary, { numRuns: count, seed: SEED * 1000 + salt });
const judgedOf = (rulesets: fc.Arbitrary<object>, count: number, salt: number): Judged[] =>
  sample(fc.record({ rules: rulesets, shadow: rulesets }), count, salt);
const exchangesOf = (count: number, each: number, salt: number): Exchange[] =>
  sample(fc.record({ way: ways, request: requests }), count * each, salt).map((sent, i) => ({
    ...sent,
    route: Math.floor(i / each),
  }));

const requestRules = judgedOf(requestRulesets, RULESETS, 1);
const connectionRules = judgedOf(connectionRulesets, LISTENERS, 2);
const requestExchanges = exchangesOf(RULESETS, REQUESTS_EACH, 3);
const connectionExchanges = exchangesOf(LISTENERS, CONNECTIONS_EACH, 4).map((exchange) => ({
  ...exchange,
  way: { ...exchange.way, tls: exchange.route % 2 === 1 },
}));

describe.skipIf(envoyProgram === undefined)(
  `random access rules and requests${envoyProgram === undefined ? ` (${NO_ENVOY})` : ''}`,
  () => {
    const pki = new TestPki();
    const certificates = {
      a: pki.ca.issue({ commonName: 'a', names: ['URI:spiffe://test/a', 'DNS:a.test'] }),
      b: pki.ca.issue({ commonName: 'b', names: ['URI:spiffe://other/b', 'URI:spiffe://test/b'] }),
      c: pki.ca.issue({ commonName: 'c', organization: 'Acme' }),
    };
    const folder = mkdtempSync(join(tmpdir(), 'outrigger-rbac-'));
    const ports = { envoy: undefined as Ports | undefined, outrigger: undefined as Ports | undefined };
    const logFile = (name: string): string => join(folder, `${name}.log`);
    let envoy: EnvoyProcess;
    let outrigger: TestProxy;
    let client: Client;

    beforeAll(async () => {
      const free = await freePorts(2 * (LISTENERS + 2));
      ports.envoy = portsOf(free.slice(0, LISTENERS + 2));
      ports.outrigger = portsOf(free.slice(LISTENERS + 2));
      const text = (own: Ports, log: string): string => configuration(pki, requestRules, connectionRules, own, log);
      envoy = await EnvoyProcess.start(envoyProgram as string, text(ports.envoy, logFile('envoy')), folder);
      await envoy.listeners(LISTENERS + 2);
      outrigger = await startTestProxy(text(ports.outrigger, logFile('outrigger')));
      client = new Client(certificates);
    }, 60_000);

    afterAll(async () => {
      client?.[Symbol.dispose]();
      await envoy?.[Symbol.asyncDispose]();
      await outrigger?.[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    /** Sends every request to both; answers pairs of statuses. */
    async function sendAll(
      exchanges: readonly Exchange[],
      portOf: (ports: Ports, exchange: Exchange) => number,
    ): Promise<{ expected: number; actual: number }[]> {
      const statuses: { expected: number; actual: number }[] = [];
      let next = 0;
      const work = async (): Promise<void> => {
        while (next < exchanges.length) {
          const number = next++;
          const { way, request, route } = exchanges[number] as Exchange;
          const send = (own: Ports | undefined) =>
            client.send(portOf(own as Ports, exchanges[number] as Exchange), way, request, route, number);
          const [expected, actual] = await Promise.all([send(ports.envoy), send(ports.outrigger)]);
          statuses[number] = { expected, actual };
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));
      return statuses;
    }

    test('judge requests as Envoy does, and name the policy', { timeout: 60_000 }, async () => {
      const statuses = await sendAll(requestExchanges, (own, { way }) => (way.tls ? own.tls : own.plain));
      const logs = await Promise.all([readLog(logFile('envoy')), readLog(logFile('outrigger'))]);
      const seen = new Map<string, number>();
      const different = requestExchanges.flatMap((exchange, number) => {
        const [expected, actual] = logs.map((log) => `${log.get(String(number))}`) as [string, string];
        const verdict = /^\S+ \S+/.exec(expected)?.[0] ?? expected;
        seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
        if (actual === expected && statuses[number]?.actual === statuses[number]?.expected) return [];
        return [{ log: { expected, actual }, ...statuses[number], ...exchange, ...requestRules[exchange.route] }];
      });
      expect(different.length, JSON.stringify(different.slice(0, 3), null, 1)).toBe(0);
      expect(seen.get('200 direct_response')).toBeGreaterThan(100);
      expect(seen.get('403 rbac_access_denied_matched_policy[none]')).toBeGreaterThan(100);
      expect([...seen.keys()].length).toBeGreaterThan(7);
    });

    test('judge connections as Envoy does', { timeout: 60_000 }, async () => {
      const statuses = await sendAll(connectionExchanges, (own, { route }) => own.connections[route] as number);
      const different = connectionExchanges.flatMap((exchange, i) =>
        statuses[i]?.actual === statuses[i]?.expected
          ? []
          : [{ ...statuses[i], ...exchange, ...connectionRules[exchange.route] }],
      );
      expect(different.length, JSON.stringify(different.slice(0, 3), null, 1)).toBe(0);
      expect(statuses.filter(({ expected }) => expected === 200).length).toBeGreaterThan(30);
      expect(statuses.filter(({ expected }) => expected === 0).length).toBeGreaterThan(30);
    });

    test('are counted alike', async () => {
      const isRbac = (name: string): boolean => /\.rbac\./.test(name);
      const theirs = [...(await envoy.stats())].filter(([name]) => isRbac(name));
      expect(theirs.length).toBeGreaterThan(300);
      const ours = theirs.map(([name]) => [name, outrigger.stat(name)]);
      expect(Object.fromEntries(ours)).toEqual(Object.fromEntries(theirs));
    });
  },
);

/** The lines of the request log by the number in front, once there is one for every request. */
async function readLog(file: string): Promise<Map<string, string>> {
  let lines: string[] = [];
  await expect
    .poll(
      () => {
        lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
        return lines.length;
      },
      { timeout: 10_000 },
    )
    .toBe(requestExchanges.length);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
}

function portsOf([plain, tls, ...connections]: readonly number[]): Ports {
  return { plain: plain as number, tls: tls as number, connections };
}

/** Ports below those that the system gives out by itself, so that nobody takes them before they are listened on. */
async function freePorts(count: number): Promise<number[]> {
  for (;;) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const ports = Array.from({ length: count }, (_, i) => first + i);
    const servers = await Promise.all(ports.map(tryListen));
    await Promise.all(servers.map((server) => new Promise((resolve) => server?.close(resolve) ?? resolve(undefined))));
    if (!servers.includes(undefined)) return ports;
  }
}

function tryListen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
