import { globSync } from 'node:fs';
import { join } from 'node:path';

/** The files of examples/policies. */
export const EXAMPLES = globSync(join(import.meta.dirname, '../../examples/policies/*.yaml'));
