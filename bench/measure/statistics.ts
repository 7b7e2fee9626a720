// What the laboratory's tables need too lies there: the proxy's sources know nothing of the benchmark.
export * from '../../src/lab/statistics.ts';
