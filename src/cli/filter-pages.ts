import { costLines, costOf } from '../../bench/report/figures.ts';
import { builtinRegistry } from '../../filters/index.ts';
import { FILTER_PAGES } from '../../filters/pages.ts';
import { type FilterFacts, factsOf, filterPage } from '../config/filter-reference.ts';
import { nearest } from '../config/suggest.ts';
import type { FilterPage } from '../filter/page.ts';
import { UsageError } from './usage-error.ts';

/** Every page with what the code knows of its filter. */
export function pagesWithFacts(): (readonly [FilterPage, FilterFacts])[] {
  const registry = builtinRegistry();
  return FILTER_PAGES.map((page) => {
    const part = page.benchmarkName ?? page.name;
    const facts = factsOf(page.name, registry, costLines(part, costOf(part)));
    if (facts === undefined) throw new Error(`there is a page for ${page.name}, but no such filter`);
    return [page, facts];
  });
}

/** `outrigger filter list` */
export function filterList(asJson: boolean): string {
  const pages = pagesWithFacts();
  if (asJson) {
    const list = pages.map(([{ name, slug, summary }, { kind, type, semantics }]) => {
      return { name, page: slug, kind, type, summary, semantics };
    });
    return `${JSON.stringify(list, undefined, 2)}\n`;
  }
  const width = Math.max(...pages.map(([{ slug }]) => slug.length));
  return pages.map(([{ slug, summary }]) => `${slug.padEnd(width)}  ${summary}\n`).join('');
}

/** `outrigger filter show`. @throws UsageError when there is no such filter */
export function filterShow(name: string, exampleOnly: boolean): string {
  const pages = pagesWithFacts();
  const wanted = name.replaceAll('_', '-');
  const found = pages.find(([page]) => page.slug === wanted || page.name === name);
  if (found === undefined) {
    const names = pages.map(([{ slug }]) => slug);
    const meant = nearest(name.replace(/^.*\./, ''), names);
    const hint = meant === undefined ? 'outrigger filter list shows them all' : `did you mean ${meant}?`;
    throw new UsageError(`there is no filter '${name}'`, hint);
  }
  const [page, facts] = found;
  return exampleOnly ? page.example : filterPage(page, facts);
}
