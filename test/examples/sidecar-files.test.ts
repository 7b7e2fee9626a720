import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { testFilter } from '../../src/filter/harness.ts';
import { loadFilterModule } from '../../src/filter/loader.ts';
import { FilterRegistry } from '../../src/filter/registry.ts';
import { tempFolder } from '../filter/temp-folder.ts';

const folder = fileURLToPath(new URL('../../examples/filters', import.meta.url));
const names = readdirSync(folder).filter((name) => name.endsWith('.ts'));

/** Every custom filter that a configuration names, with its configuration. */
function modulesOf(value: unknown): { module: string; config: unknown }[] {
  if (typeof value !== 'object' || value === null) return [];
  const { type, value: config } = value as { type?: unknown; value?: { module: string; config: unknown } };
  if (type === 'outrigger.v1.HttpFilterModule' && config !== undefined) return [config];
  return Object.values(value).flatMap(modulesOf);
}

for (const name of names) {
  test(`${name} has a sidecar file that is valid and whose configuration it takes`, async () => {
    const file = join(folder, name.replace('.ts', '.yaml'));
    const { bootstrap } = loadConfig(file, { registry: new FilterRegistry([], []) });
    const modules = modulesOf(bootstrap);
    expect(modules.map(({ module }) => module)).toEqual([`./${name}`]);
    const [{ module, config }] = modules as [{ module: string; config: Record<string, unknown> }];
    const { definition } = await loadFilterModule(module, { baseDir: folder, filterDir: folder, kind: 'http' });
    expect(definition.name).toBe(name.replace('.ts', ''));
    if (typeof config.file === 'string') {
      config.file = join(tempFolder(), 'keys');
      writeFileSync(config.file as string, 'shop: correct-horse\n');
    }
    const harness = await testFilter(definition, { config });
    onTestFinished(() => harness.dispose());
    expect((await harness.request()).errors).toEqual([]);
  });
}
