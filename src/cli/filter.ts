import { Command, InvalidArgumentError } from 'commander';

/** `outrigger filter`: writes a filter, type-checks it, tries it. */
export function filterCommand(): Command {
  const filter = new Command('filter').description('Write, type-check and try a filter of your own.');

  filter
    .command('new')
    .description('Write NAME.ts, a filter that works, and NAME.test.ts, its test.')
    .argument('<name>', 'letters, digits and dashes: rate-by-tenant')
    .option('--network', 'a filter of connections and bytes, not of HTTP requests')
    .option('--dir <folder>', 'where to write', '.')
    .addHelpText(
      'after',
      `
A tsconfig.json for editors is written too, where the folder and those above it have none.

Examples
  outrigger filter new greeting
  outrigger filter new allow-office --network --dir filters`,
    )
    .action(async (name: string, options: { network?: boolean; dir: string }) => {
      const { writeNewFilter } = await import('./filter-new.ts');
      process.stdout.write(writeNewFilter(name, options.network === true ? 'network' : 'http', options.dir));
    });

  filter
    .command('test')
    .description('Type-check a filter, run it against canned traffic, then run the NAME.test.ts beside it.')
    .argument('<file>', 'the filter: ./greeting.ts, or ./filters.ts#name of several')
    .option('--config <json>', 'its configuration', parseJson)
    .option('--json', 'one JSON object instead of text')
    .option('--no-types', 'skip the type check')
    .addHelpText(
      'after',
      `
For every request it tells what became of it (forwarded, replied, stopped), what the filter changed (+ set, - removed,
~ changed), and the time in its hooks. Upstream is an app that answers with what it got.

Types are checked with TypeScript where that is installed (npm i -D typescript, or anywhere above the file).

Exit codes: 0 all good; 1 the filter does not load, has type errors, throws, or fails its test; 2 wrong usage or --config.

Examples
  outrigger filter test ./greeting.ts
  outrigger filter test ./redact-json-body.ts --config '{"fields": ["password"]}'`,
    )
    .action(async (file: string, options: { config?: { value: unknown }; json?: boolean; types: boolean }) => {
      const { testFilterFile } = await import('./filter-test.ts');
      process.exitCode = await testFilterFile(file, {
        config: options.config?.value,
        json: options.json === true,
        types: options.types,
        write: (text) => void process.stdout.write(text),
      });
    });

  filter
    .command('list')
    .description('List the filters and TLS sockets that come with the proxy.')
    .option('--json', 'one JSON array, with the semantics of each')
    .action(async (options: { json?: boolean }) => {
      const { filterList } = await import('./filter-pages.ts');
      process.stdout.write(filterList(options.json === true));
    });

  filter
    .command('show')
    .description('Show the page of a filter: fields with bounds and defaults, statistics, an example, its cost.')
    .argument('<name>', 'as in docs/filters, or as Envoy calls it: rbac, envoy.filters.http.rbac')
    .option('--example', 'the example alone, a file that outrigger run takes')
    .addHelpText(
      'after',
      `
Examples
  outrigger filter show local-ratelimit
  outrigger filter show fault --example > sidecar.yaml && outrigger run -c sidecar.yaml`,
    )
    .action(async (name: string, options: { example?: boolean }) => {
      const { filterShow } = await import('./filter-pages.ts');
      process.stdout.write(filterShow(name, options.example === true));
    });

  return filter;
}

function parseJson(text: string): { value: unknown } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    throw new InvalidArgumentError(`It is not JSON: ${(error as Error).message}.`);
  }
}
