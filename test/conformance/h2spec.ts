import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Seconds that h2spec waits for each answer: a busy machine may be slow, and a case that passes does not wait. */
const CASE_TIMEOUT_S = 5;
const RUN_TIMEOUT_MS = 600_000;

/** One case of h2spec. */
export interface H2specCase {
  /** `http2/6.9.1: Sends multiple WINDOW_UPDATE frames …`. */
  readonly name: string;
  /** What was expected, and what came; undefined when it passed. */
  readonly failure: string | undefined;
}

/** Runs all cases, the strict ones included, against a server on the loopback that speaks HTTP/2 with prior knowledge. */
export async function runH2spec(program: string, port: number): Promise<H2specCase[]> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-h2spec-'));
  try {
    const report = join(folder, 'junit.xml');
    const args = ['--strict', '--port', String(port), '--timeout', String(CASE_TIMEOUT_S), '--junit-report', report];
    // The exit code is that of the cases, which the report tells one by one.
    const output = await new Promise<string>((resolve) => {
      execFile(program, args, { timeout: RUN_TIMEOUT_MS, maxBuffer: 1 << 26 }, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
    try {
      return readReport(readFileSync(report, 'utf8'));
    } catch (cause) {
      throw new Error(`h2spec left no report: ${output.slice(-2000)}`, { cause });
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const TESTCASE = /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g;

/** The cases of a JUnit report as h2spec writes it. */
export function readReport(xml: string): H2specCase[] {
  return [...xml.matchAll(TESTCASE)].map(([, section = '', title = '', outcome = '']) => ({
    name: `${section}: ${unescapeXml(title)}`,
    failure: outcome.trim() === '' ? undefined : unescapeXml(outcome.replaceAll(/<[^>]*>/g, ' ')).trim() || 'failed',
  }));
}

function unescapeXml(text: string): string {
  return text
    .replaceAll(/&#(x[0-9A-Fa-f]+|\d+);/g, (_, code: string) => String.fromCodePoint(Number(code.replace('x', '0x'))))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
