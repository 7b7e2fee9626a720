/** What `dist/run.cjs` is bundled of: `run`, for Node's usual start and for the one from the snapshot. */
export { loadPart } from './compiled-script.ts';
export { run } from './run.ts';
export { preload, start } from './snapshot.ts';
