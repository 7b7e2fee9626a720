import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { applyFiles } from '../../src/cli/policy-apply.ts';
import { RunningCli } from '../cli/run-cli.ts';
import { tempFolder } from '../filter/temp-folder.ts';
import { startTestProxy } from '../support/proxy.ts';
import { ask, echo, startApp } from '../support/story.ts';

const POLICY = `apiVersion: outrigger.dev/v1
kind: RateLimit
metadata: { name: shop }
spec:
  domain: shop
  service: { address: '127.0.0.1:8081', timeout: 5s }
  onFailure: DENY
  limits:
  - { by: [{ value: orders }, { header: x-user }], requests: 2, per: day }
`;

test('the limits that a policy writes down are what outrigger ratelimit counts by, for all proxies together', async () => {
  const dir = tempFolder();
  const [policy, to, limits] = ['policy.yaml', 'sidecar.yaml', 'limits.yaml'].map((name) => join(dir, name));
  await using app = await startApp(echo());
  writeFileSync(policy!, POLICY);
  writeFileSync(to!, `listen: 127.0.0.1:0\napp: 127.0.0.1:${app.port}\n`);
  const text = applyFiles([policy!], { to: to!, limits: limits! });
  const service = new RunningCli(['ratelimit', '--config', limits!, '--listen', '127.0.0.1:0']);
  onTestFinished(() => service.kill());
  const [, port] = await service.output(/127\.0\.0\.1:(\d+)/);
  const bootstrap = parse(text.replaceAll('port_value: 8081', `port_value: ${port}`));
  await using one = await startTestProxy(JSON.stringify(bootstrap));
  await using other = await startTestProxy(JSON.stringify(bootstrap));
  const call = async ({ port: at }: { port: number }, user: string): Promise<number> =>
    (await ask(at, { headers: { 'x-user': user } })).status;
  expect([await call(one, 'ann'), await call(other, 'ann')]).toEqual([200, 200]);
  expect([await call(one, 'ann'), await call(other, 'ann')]).toEqual([429, 429]);
  expect(await call(other, 'bob')).toBe(200);
});
