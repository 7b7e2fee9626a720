import { describe, expect, test } from 'vitest';
import { buildH2spec, missingForH2spec } from '../../scripts/build-h2spec.ts';
import { HaproxyProcess, missingHaproxy } from '../support/haproxy.ts';
import { httpConfig } from '../support/proxy.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { echo, startApp } from '../support/story.ts';
import { type H2specCase, readReport, runH2spec } from './h2spec.ts';

/** Cases of h2spec 2.2.1 with the strict ones. */
const CASES = 146;

const missing = missingForH2spec();

/** All that h2spec finds; the names of the tests below are those of its cases, so it runs before they are made. */
async function examineOutrigger(program: string): Promise<H2specCase[]> {
  await using app = await startApp(echo());
  await using proxy = await ProxyProcess.start('outrigger', httpConfig(app.port, { manager: 'codec_type: HTTP2' }));
  return await runH2spec(program, proxy.port);
}

describe('h2spec, strict', () => {
  test('a report tells passed cases from failed ones', () => {
    const xml = `<testsuite><testcase package="http2/6.1" classname="Sends &lt;DATA&gt;" time="1"></testcase>
      <testcase package="hpack/2" classname="b"><failure>Expect: GOAWAY\nActual: Timeout</failure></testcase></testsuite>`;
    expect(readReport(xml)).toEqual([
      { name: 'http2/6.1: Sends <DATA>', failure: undefined },
      { name: 'hpack/2: b', failure: 'Expect: GOAWAY\nActual: Timeout' },
    ]);
  });

  test('finds no fault in HAProxy: the runner itself is right', async (context) => {
    const reason = missing ?? missingHaproxy();
    if (reason !== undefined) return context.skip(reason);
    await using app = await startApp(echo());
    await using haproxy = await HaproxyProcess.start(app.port);
    const cases = await runH2spec(buildH2spec(), haproxy.port);
    expect(cases.filter(({ failure }) => failure !== undefined)).toEqual([]);
    expect(cases.length).toBe(CASES);
  }, 400_000);
});

describe('a listener under h2spec, strict', async () => {
  if (missing !== undefined) {
    test('conforms', (context) => context.skip(missing));
    return;
  }
  const cases = await examineOutrigger(buildH2spec());
  test(`all ${CASES} cases ran`, () => expect(new Set(cases.map(({ name }) => name)).size).toBe(CASES));
  for (const { name, failure } of cases) test(name, () => expect(failure).toBeUndefined());
});
