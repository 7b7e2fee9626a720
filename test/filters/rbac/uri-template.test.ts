import { describe, expect, test } from 'vitest';
import { uriTemplateRegex } from '../../../filters/rbac/uri-template.ts';

const matches = (template: string, path: string): boolean =>
  new RegExp(`^(?:${uriTemplateRegex(template)})$`).test(path);

describe('a template', () => {
  test.each([
    ['/', '/', true],
    ['/a.b', '/a.b', true],
    ['/a.b', '/axb', false],
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/b/c', false],
    ['/a/*', '/a/', false],
    ['/a/**', '/a/b/c', true],
    ['/a/**', '/a/', true],
    ['/a/*/', '/a/b/', true],
    ['/a/*/', '/a/b', false],
    ['/a/*.txt', '/a/b.txt', true],
    ['/a/*.txt', '/a/b.pdf', false],
    ['/v/{id}/x', '/v/7/x', true],
    ['/v/{id}/x', '/v/7/8/x', false],
    ['/v/{rest=x/**}', '/v/x/7/8', true],
    ['/v/{rest=x/**}', '/v/y/7', false],
    ['/**/m3u8', '/a/b/m3u8', true],
  ])('%s and %s', (template, path, expected) => {
    expect(matches(template, path)).toBe(expected);
  });

  test.each([
    ['a', /begins with \//],
    ['/a b', /no spaces/],
    ['//a', /no path segment/],
    ['/a*', /not both/],
    ['/{x', /without \}/],
    ['/{1x}', /is no name/],
    ['/{x}/{x}', /twice/],
    ['/{x=}', /no path segment/],
    ['/**/*', /no glob may follow/],
    ['/**/{x}', /no glob may follow/],
    ['/*b/c', /nothing more|not both/],
    ['/{a}/{b}/{c}/{d}/{e}/{f}', /5 variables/],
  ])('%s is refused', (template, problem) => {
    expect(() => uriTemplateRegex(template)).toThrow(problem);
  });
});
