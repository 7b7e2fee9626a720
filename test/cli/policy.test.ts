import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import { POLICY_KINDS } from '../../policies/index.ts';
import { KIND_NAMES } from '../../src/cli/policy.ts';
import { applyFiles } from '../../src/cli/policy-apply.ts';
import { explainFiles } from '../../src/cli/policy-explain.ts';
import { tempFolder } from '../filter/temp-folder.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { ask, echo, startApp } from '../support/story.ts';
import { LAUNCHER, runCli } from './run-cli.ts';

const EXAMPLES = join(import.meta.dirname, '../../examples/policies');
const example = (name: string): string => join(EXAMPLES, `${name}.yaml`);

function sidecarFile(): string {
  const file = join(tempFolder(), 'sidecar.yaml');
  writeFileSync(file, 'listen: 127.0.0.1:0\napp: 127.0.0.1:3000\n');
  return file;
}

async function runShell(command: string): Promise<string> {
  return (await promisify(execFile)('/bin/sh', ['-c', command])).stdout;
}

test('the help names every kind', () => {
  expect(KIND_NAMES.split(/,\s+/)).toEqual(POLICY_KINDS.map(({ kind }) => kind));
});

test.each([
  ['app', 'It looks like app=shop,version=v1.'],
  ['=shop', 'It looks like app=shop,version=v1.'],
  ['app=shop,app=cart', 'A workload has one label app.'],
])('labels that are none (%s) are told', async (labels, text) => {
  const args = ['policy', 'apply', example('access-log'), '--to', sidecarFile(), '--labels', labels];
  const { code, stderr } = await runCli(args);
  expect([code, stderr]).toEqual([2, expect.stringContaining(text)]);
});

test('a policy that two files have is not applied twice', async () => {
  const file = sidecarFile();
  const copy = join(tempFolder(), 'copy.yaml');
  writeFileSync(copy, readFileSync(example('access-log')));
  const { code, stdout, stderr } = await runCli(['policy', 'apply', example('access-log'), copy, '--to', file]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/copy\.yaml:\d+:1 +AccessLog default\/.* is there already, in .*access-log\.yaml:\d+\n$/);
});

test('limits are written over no file that is read', async () => {
  const file = sidecarFile();
  const { code, stderr } = await runCli(['policy', 'apply', example('rate-limit'), '--to', file, '--limits', file]);
  expect([code, stderr]).toEqual([2, `outrigger: ${file} would be written over what this command reads\n`]);
});

describe('outrigger policy check', () => {
  it('is content with the examples', async () => {
    const names = ['access-log', 'authorization-policy', 'sidecar'];
    const { code, stdout, stderr } = await runCli(['policy', 'check', ...names.map(example)]);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr.match(/: OK$/gm)).toHaveLength(3);
  });

  it('tells line, path and suggestion, for people and as JSON', async () => {
    const file = join(tempFolder(), 'wrong.yaml');
    writeFileSync(file, readFileSync(example('retry-policy'), 'utf8').replace('attempts', 'atempts'));
    const text = await runCli(['policy', 'check', file]);
    expect(text.code).toBe(2);
    expect(text.stdout).toContain(`${file}:7:3  spec.atempts  unknown field`);
    const json = await runCli(['policy', 'check', '--json', file]);
    expect(JSON.parse(json.stdout)).toMatchObject([
      { file, line: 7, column: 3, path: 'spec.atempts', suggestion: 'attempts' },
    ]);
  });

  it('tells with --side what cannot live there', async () => {
    const { code, stdout } = await runCli(['policy', 'check', '--side', 'receiver', example('retry-policy')]);
    expect(code).toBe(2);
    expect(stdout).toContain('retries cannot be made by the receiver');
  });
});

describe('outrigger policy explain', () => {
  it('tells what a policy becomes, on which side, and why not on the other', () => {
    const text = explainFiles([example('retry-policy')], {});
    expect(text).toContain('RetryPolicy default/reviews');
    expect(text).toMatch(/state +in the process/);
    expect(text).toMatch(/payload +kept up to the buffer limit/);
    expect(text).toMatch(/at the sender it becomes\n {4}virtual host +retry_policy +retry_on, num_retries/);
    expect(text).toContain('at the receiver: not possible: retries cannot be made by the receiver');
  });

  it('has the fragments themselves and the costs in its JSON', () => {
    const [one] = JSON.parse(explainFiles([example('access-log')], { side: 'receiver', json: true }));
    expect(one).toMatchObject({
      policy: 'AccessLog default/failures',
      semantics: { paper: 6, pure: true, placement: 'either' },
      sides: [{ side: 'receiver', parts: [{ what: 'access log', cost: { scenario: 'access_log' } }] }],
    });
    expect(one.sides[0].fragments.accessLogs[0].filter).toHaveProperty('status_code_filter');
  });
});

describe('outrigger policy apply', () => {
  it('prints a configuration that check accepts', async () => {
    const file = join(tempFolder(), 'envoy.yaml');
    const args = [
      'policy',
      'apply',
      example('sidecar'),
      example('retry-policy'),
      '--to',
      sidecarFile(),
      '--side',
      'sender',
    ];
    const { code, stdout } = await runCli(args);
    expect(code).toBe(0);
    writeFileSync(file, stdout);
    expect((await runCli(['check', file])).stderr).toBe(`${file}: OK\n`);
  });

  it('prints a configuration that outrigger run enforces', async () => {
    await using app = await startApp(echo());
    const to = join(tempFolder(), 'sidecar.yaml');
    writeFileSync(to, `listen: 127.0.0.1:0\napp: 127.0.0.1:${app.port}\n`);
    const { stdout } = await runCli(['policy', 'apply', example('sidecar'), '--to', to]);
    await using proxy = await ProxyProcess.start('outrigger', stdout);
    const call = async (host: string): Promise<number> => (await ask(proxy.port, { headers: { host } })).status;
    expect([await call('reviews.shop.svc'), await call('bank.test')]).toEqual([200, 403]);
  });

  it('refuses a policy that cannot live on the side, and prints nothing', async () => {
    const { code, stdout, stderr } = await runCli([
      'policy',
      'apply',
      example('sidecar'),
      '--to',
      sidecarFile(),
      '--side',
      'receiver',
    ]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(
      `${example('sidecar')}:9:3  spec.egress  a sidecar scope cannot be enforced by the receiver`,
    );
  });

  it('says what a policy does not fit', async () => {
    const file = join(tempFolder(), 'tcp.yaml');
    writeFileSync(file, 'listen: 8080\napp: { address: 3000, max_connections: 1 }\n');
    const { code, stderr } = await runCli(['policy', 'apply', example('circuit-breaker'), '--to', file]);
    expect(code).toBe(2);
    expect(stderr).toContain('CircuitBreaker default/reviews: cluster app has max_connections already');
  });

  it('tells what is wrong with the file itself by its own lines', async () => {
    const to = join(tempFolder(), 'wrong.yaml');
    writeFileSync(to, 'listen: 8080\napp: 3000\nfilter: []\n');
    const { code, stderr } = await runCli(['policy', 'apply', example('sidecar'), '--to', to]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${to}:3:1  filter  unknown field`);
  });

  it('reads from a pipe, so that both sides of a hop can be put into one file', async () => {
    const both = await runShell(
      `${LAUNCHER} policy apply ${example('access-log')} --to ${sidecarFile()} | ${LAUNCHER} policy apply ${example('tracing')} --to - --json`,
    );
    const { static_resources: resources } = JSON.parse(both);
    const manager = resources.listeners[0].filter_chains[0].filters[0].typed_config;
    expect(manager).toMatchObject({ access_log: [{}], tracing: { random_sampling: { value: 10 } } });
  });

  it('leaves out policies of other workloads', () => {
    const to = sidecarFile();
    const labelled = (labels: Record<string, string>): string =>
      applyFiles([example('sidecar')], { to, side: 'sender', labels });
    expect(labelled({ app: 'shop' })).toContain('outrigger.policy.sidecar');
    expect(labelled({ app: 'bank' })).not.toContain('outrigger.policy.sidecar');
  });

  it('writes down what the rate-limit service needs to know', () => {
    const limits = join(tempFolder(), 'limits.yaml');
    applyFiles([example('rate-limit')], { to: sidecarFile(), limits });
    expect(parse(readFileSync(limits, 'utf8'))).toEqual({
      domain: 'shop',
      descriptors: [
        { key: 'x-user', rate_limit: { unit: 'minute', requests_per_unit: 100 } },
        { key: 'generic_key', value: 'all', rate_limit: { unit: 'second', requests_per_unit: 1000 } },
      ],
    });
  });
});
