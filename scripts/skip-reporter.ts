import type { Reporter, TestCase, Vitest } from 'vitest/node';

/**
 * Prints every skipped test with its reason, and fails the run when one gives none: a test that silently does not run
 * proves nothing. Give the reason as `context.skip('needs root')`.
 */
export class SkipReporter implements Reporter {
  readonly #skipped: TestCase[] = [];
  #isSelection = false;

  onInit(vitest: Vitest): void {
    // With `-t PATTERN` most tests are skipped because nobody asked for them.
    this.#isSelection = vitest.config.testNamePattern !== undefined;
  }

  onTestCaseResult(test: TestCase): void {
    if (!this.#isSelection && test.result().state === 'skipped') this.#skipped.push(test);
  }

  onTestRunEnd(): void {
    for (const test of this.#skipped) {
      const result = test.result();
      const note = result.state === 'skipped' ? result.note : undefined;
      // Tests of a suite whose set-up failed count as skipped too; the failure is reported by itself.
      const suiteFailed = test.module.state() === 'failed';
      if (note === undefined && !suiteFailed) process.exitCode = 1;
      process.stdout.write(
        `skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${note ?? 'NO REASON GIVEN'}\n`,
      );
    }
  }
}
