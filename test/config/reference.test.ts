import { expect, it } from 'vitest';
import { builtinRegistry } from '../../filters/index.ts';
import { configurationReference } from '../../src/config/reference.ts';

it('docs/configuration.md says what the schemas say (run with -u to write it)', async () => {
  await expect(configurationReference(builtinRegistry())).toMatchFileSnapshot('../../docs/configuration.md');
});
