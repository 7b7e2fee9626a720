/**
 * Puts the pictures and the table of ratios of a characterization into the README, from the published one unless
 * another file is named:
 *
 *   bin/outrigger characterize && cp .bench/characterization.json docs/characterization.json
 *   bin/node scripts/publish-report.ts [FILE]
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkCharacterization, parseReportInput } from '../src/lab/report/read-characterization.ts';
import { readmeSection, replaceSection } from '../src/lab/report/readme-section.ts';

const ROOT = join(import.meta.dirname, '..');
const PICTURES = 'docs/pictures';

const file = process.argv[2] ?? join(ROOT, 'docs', 'characterization.json');
const { data } = parseReportInput(file, readFileSync(file, 'utf8'));
const { text, shown } = readmeSection(checkCharacterization(file, data), PICTURES);
// What an earlier run had and this one has not would stay for ever.
rmSync(join(ROOT, PICTURES), { recursive: true, force: true });
mkdirSync(join(ROOT, PICTURES), { recursive: true });
for (const { fileName, svg } of shown) writeFileSync(join(ROOT, PICTURES, fileName), svg);
const readme = join(ROOT, 'README.md');
writeFileSync(readme, replaceSection(readFileSync(readme, 'utf8'), text));
