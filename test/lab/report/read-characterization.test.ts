import { expect, test } from 'vitest';
import {
  checkCharacterization,
  parseReportInput,
  ReportInputError,
} from '../../../src/lab/report/read-characterization.ts';
import { sample } from './sample.ts';

const TEXT = JSON.stringify(sample());

function read(text: string): unknown {
  return checkCharacterization('run.json', parseReportInput('run.json', text).data);
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(ReportInputError);
    return (error as Error).message;
  }
  throw new Error('it was accepted');
}

test('what a run writes is read as it is', () => {
  expect(read(TEXT)).toEqual(sample());
});

test('fields that a later version adds do not matter', () => {
  expect(read(JSON.stringify({ ...sample(), later: { any: 'thing' } }))).toEqual(sample());
});

test('null stands for what is no number', () => {
  const first = { ...sample().configurations[0]!, command: 'x' };
  const row = { ...first.peers[0]!, cpuMicros: { median: Number.NaN, min: 1, max: 2, values: [Number.NaN] } };
  const spoiled = { ...sample(), configurations: [{ ...first, peers: [row] }] };
  const found = checkCharacterization('run.json', JSON.parse(JSON.stringify(spoiled)));
  expect(found.configurations[0]?.peers[0]?.cpuMicros).toEqual({
    median: Number.NaN,
    min: 1,
    max: 2,
    values: [Number.NaN],
  });
});

test.each([
  ['', /^run\.json is empty: expected the JSON of `outrigger characterize`/],
  [TEXT.slice(0, 5000), /^run\.json ends in the middle \(5000 characters\): expected/],
  ['schema: yes', /^run\.json is no JSON: expected/],
  ['[1]', /^run\.json: expected an object with "schema": "outrigger\.characterization\/1", found an array$/],
  ['null', /found null$/],
  ['{"schema": 1}', /found an object whose schema is no text$/],
  ['{"kind": "RateLimit", "spec": {}}', /found an object without it \(kind, spec …\)$/],
])('what is no report is refused with what was expected and found: %#', (text, message) => {
  expect(refusal(() => parseReportInput('run.json', text))).toMatch(message);
});

test('a place that differs is named with what was expected and found', () => {
  const text = TEXT.replace('"protocol":"tcp"', '"protocol":"udp"').replace('"pinned":true', '"pinned":"yes"');
  expect(refusal(() => read(text))).toBe(
    'run.json is no outrigger.characterization/1:\n' +
      '  cores.pinned: expected boolean, found "yes"\n' +
      '  configurations.0.protocol: expected ("tcp" | "http"), found "udp"',
  );
});

test('of many places a few are named', () => {
  const message = refusal(() => read('{"schema":"outrigger.characterization/1"}'));
  expect(message.split('\n')).toHaveLength(7);
  expect(message).toMatch(/\n {2}and \d+ more$/);
});
