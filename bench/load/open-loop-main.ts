import { type OpenLoopOptions, type OpenLoopResult, runOpenLoop } from './open-loop.ts';

/** What the generator's process writes, one JSON object per line. */
export type OpenLoopMessage =
  | { readonly event: 'measure' }
  | { readonly event: 'measured' }
  | { readonly event: 'result'; readonly result: OpenLoopResult }
  | { readonly event: 'error'; readonly message: string };

function write(message: OpenLoopMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

const options = JSON.parse(process.argv[2] ?? '{}') as OpenLoopOptions;
try {
  const result = await runOpenLoop({
    ...options,
    onMeasure: () => write({ event: 'measure' }),
    onMeasured: () => write({ event: 'measured' }),
  });
  write({ event: 'result', result });
} catch (error) {
  write({ event: 'error', message: (error as Error).message });
  process.exitCode = 1;
}
