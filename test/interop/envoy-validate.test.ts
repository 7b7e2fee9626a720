import { describe, expect, it } from 'vitest';
import { expandText } from '../../src/config/expand.ts';
import { namesModule, rightFiles, shippedFiles, sidecarFiles, unsupportedFiles, wrongFiles } from '../config/corpus.ts';
import { envoyRejection, findEnvoy, NO_ENVOY } from '../support/envoy.ts';

const envoy = findEnvoy();

// What `check` says of the same files is tested in test/config/corpus.test.ts.

describe('Envoy refuses what check refuses', () => {
  it.for(wrongFiles)('$name', ({ text, extension }, context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    expect(envoyRejection(envoy, text, extension)).toBeDefined();
  });
});

describe('Envoy accepts what check accepts, and what it refuses as unsupported', () => {
  it.for([...rightFiles, ...unsupportedFiles])('$name', ({ text, extension }, context) => {
    if (envoy === undefined) return context.skip(NO_ENVOY);
    expect(envoyRejection(envoy, text, extension)).toBeUndefined();
  });
});

describe('Envoy accepts what expand writes', () => {
  it.for([...rightFiles, ...sidecarFiles, ...shippedFiles])('$name', (file, context) => {
    if (namesModule(file)) return context.skip('it names a TypeScript filter, which Envoy has not');
    if (envoy === undefined) return context.skip(NO_ENVOY);
    expect(envoyRejection(envoy, expandText(file.name, file.text))).toBeUndefined();
  });
});
