import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import filter from '../../examples/filters/api-key-from-file.ts';
import { testFilter } from '../../src/filter/harness.ts';
import { tempFolder, writeIn } from '../filter/temp-folder.ts';

async function guard(text: string) {
  const folder = tempFolder({ keys: text });
  const harness = await testFilter(filter, { config: { file: join(folder, 'keys') } });
  onTestFinished(() => harness.dispose());
  return { folder, harness };
}

test('lets a known key pass, tells who it is, and hands the key to nobody', async () => {
  const { harness } = await guard('# keys\nshop: correct-horse\n\nbot: battery-staple\n');
  const outcome = await harness.request({ headers: { 'x-api-key': 'battery-staple', 'x-api-client': 'shop' } });
  expect(outcome.verdict).toBe('forwarded');
  expect(outcome.forwarded?.headers).toEqual({ 'x-api-client': 'bot' });
  expect(outcome.metadata('api-key', 'client')).toBe('bot');
});

test('answers 401 to a missing, a wrong, a doubled and an almost right key, and says which', async () => {
  const { harness } = await guard('shop: correct-horse');
  const missing = await harness.request();
  expect([missing.status, missing.details, missing.headers['www-authenticate']]).toEqual([
    401,
    'api_key_missing',
    'ApiKey',
  ]);
  expect(missing.body).toBe('send a key in x-api-key\n');
  for (const key of ['wrong', '', 'correct-hors', 'correct-horse ', ['correct-horse', 'wrong']]) {
    const outcome = await harness.request({ headers: { 'x-api-key': key } });
    expect([outcome.status, outcome.details, outcome.forwarded]).toEqual([401, 'api_key_unknown', undefined]);
  }
  expect(harness.env.counter('api_key.denied')).toBe(6);
});

test('a changed file takes effect within a second; a broken or missing one leaves the old keys', async () => {
  const { folder, harness } = await guard('shop: correct-horse');
  const status = async (key: string) => (await harness.request({ headers: { 'x-api-key': key } })).status;
  const until = async (done: () => boolean) => {
    for (let i = 0; i < 300 && !done(); i++) await new Promise((next) => setTimeout(next, 50));
  };
  writeIn(folder, 'keys~', 'shop: another-horse');
  renameSync(join(folder, 'keys~'), join(folder, 'keys'));
  await until(() => harness.env.logged.length > 0);
  expect([await status('another-horse'), await status('correct-horse')]).toEqual([200, 401]);
  writeIn(folder, 'keys', 'shop another-horse, but broken');
  await until(() => harness.env.logged.length > 1);
  expect(harness.env.logged.map((line) => line.message)).toEqual(['keys read anew', 'the old keys stay in force']);
  expect(await status('another-horse')).toBe(200);
});

test('does not start without its file, and names the line that is wrong', async () => {
  await expect(testFilter(filter, { config: { file: '/nowhere' } })).rejects.toThrow('ENOENT');
  await expect(guard('shop: correct-horse\nbot: short')).rejects.toThrow(/keys:2: not "name: key"/);
});
