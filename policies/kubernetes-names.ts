import { mapOf, string } from '../src/config/schema/building-blocks.ts';
import { addProblem, defineSchema, describe, Problem, runSchema, type Schema } from '../src/config/schema/schema.ts';
import { isRecord } from '../src/config/sidecar/units.ts';

/**
 * What Kubernetes takes as names and labels ("Object Names and IDs", "Labels and Selectors"): who breaks these rules has an
 * object that no cluster accepts, or a selector that no pod fits.
 */

const MAX_LABEL = 63;
const MAX_SUBDOMAIN = 253;

/** RFC 1123 label: a namespace. */
export function isDnsLabel(text: string): boolean {
  return text.length <= MAX_LABEL && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}

/** RFC 1123 subdomain, of labels that may be longer than 63 here, as Kubernetes has it: most names. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= MAX_SUBDOMAIN && text.split('.').every((part) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(part));
}

export function isLabelValue(text: string): boolean {
  return text.length <= MAX_LABEL && /^([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?)?$/.test(text);
}

/** A name, perhaps with a domain and a slash before it. */
export function isLabelKey(text: string): boolean {
  const [name, prefix, ...rest] = text.split('/').reverse();
  return name !== '' && isLabelValue(name!) && (prefix === undefined || isDnsSubdomain(prefix)) && rest.length === 0;
}

/** What somebody may have meant: without the characters that are not allowed, and not too long. */
function tidied(text: string, wrong: RegExp, max: number): string {
  const trimmed = (part: string): string => part.replace(/^[-._]+|[-._]+$/g, '');
  return trimmed(trimmed(text.replace(wrong, '-')).slice(0, max));
}

function named(test: (text: string) => boolean, allowed: string, suggest: (text: string) => string): Schema<string> {
  const inner = string();
  return defineSchema<string>('string', 'a string', (input, dataset, config) => {
    const { issues, typed, value } = runSchema(inner, input, config);
    Object.assign(dataset, { issues, typed, value });
    if (issues === undefined && !test(value as string))
      addProblem(dataset, problemOf(value as string, test, allowed, suggest), input);
  });
}

function problemOf(
  text: string,
  test: (text: string) => boolean,
  allowed: string,
  suggest: (text: string) => string,
): Problem {
  const meant = suggest(text);
  const shown = text.length > 80 ? `a string of ${text.length} characters` : describe(text);
  return new Problem(`${shown} is not valid here`, {
    allowed,
    suggestion: meant !== '' && test(meant) ? meant : undefined,
  });
}

export const NamespaceName: Schema<string> = named(
  isDnsLabel,
  `lower case letters, digits and -, at most ${MAX_LABEL}, a letter or digit at both ends (RFC 1123 label)`,
  (text) => tidied(text.toLowerCase(), /[^a-z0-9]+/g, MAX_LABEL),
);

export const ObjectName: Schema<string> = named(
  isDnsSubdomain,
  `lower case letters, digits, - and ., at most ${MAX_SUBDOMAIN}, a letter or digit at both ends of each part (RFC 1123 subdomain)`,
  (text) => tidied(text.toLowerCase().replace(/[^a-z0-9.]+/g, '-'), /[-.]*\.[-.]*/g, MAX_SUBDOMAIN),
);

const LABEL = `letters, digits, -, _ and ., at most ${MAX_LABEL}, a letter or digit at both ends`;
const LabelValue = named(isLabelValue, `${LABEL}; or nothing`, (text) => tidied(text, /[^A-Za-z0-9._]+/g, MAX_LABEL));
const LABEL_KEY = `${LABEL}; perhaps with a domain and a slash before it`;

/** Labels by their keys. */
export const Labels: Schema<Record<string, string>> = withKeys(mapOf(LabelValue));

/** Annotations: keys as those of labels, any text as value. */
export const Annotations: Schema<Record<string, string>> = withKeys(mapOf(string()));

function withKeys(inner: Schema<Record<string, string>>): Schema<Record<string, string>> {
  const schema = defineSchema<Record<string, string>>('map', 'a map', (input, dataset, config) => {
    const { issues, typed, value } = runSchema(inner, input, config);
    Object.assign(dataset, { issues, typed, value });
    if (!isRecord(input)) return;
    for (const key of Object.keys(input as object)) {
      if (isLabelKey(key)) continue;
      const { message, allowed, suggestion } = problemOf(key, isLabelKey, LABEL_KEY, (text) =>
        tidied(text, /[^A-Za-z0-9._]+/g, MAX_LABEL),
      );
      addProblem(dataset, new Problem(`the key ${message}`, { allowed, suggestion, path: [key] }), input);
    }
  });
  return Object.assign(schema, { item: (inner as { item?: unknown }).item });
}
