import { stripTypeScriptTypes } from 'node:module';
import { initSync, parse } from 'es-module-lexer';
import { FilterLoadError, lineAndColumn, syntaxErrorPlace } from './loader-error.ts';

/** One name that an import statement takes: `imported` is the exporter's name, or `*` for its whole namespace. */
export interface ImportBinding {
  readonly imported: string;
  readonly local: string;
}

/** One `import … from` or `export … from` statement. */
export interface ModuleImport {
  readonly specifier: string;
  readonly json: boolean;
  readonly bindings: readonly ImportBinding[];
  /** Names passed on to this module's importers (`local` is the exported name; '' for `export *`). */
  readonly reexports: readonly ImportBinding[];
  readonly line: number;
  readonly column: number;
}

/** A module rewritten as the text of an async function; every line and column stays where the author has it. */
export interface ModuleText {
  readonly code: string;
  /** Characters that stand before the author's first line: columns of that line, and of no other, are shifted by them. */
  readonly prologueLength: number;
  readonly imports: readonly ModuleImport[];
  /** Literal specifiers of `import(…)`. */
  readonly dynamicImports: readonly string[];
}

/** Names of the function's parameters; `import(` and `import.meta` are replaced by names of the same length. */
export const MODULE_PARAMETERS = ['$imports', '$load_', '$importMeta'] as const;
const DEFAULT_LOCAL = '$deflt';

/**
 * Rewrites an ES module as a function body: imports become constants taken from a parameter, exports the function's
 * result. A function is collected as soon as nobody holds it; V8's and Node's module maps hold their modules for ever.
 *
 * Exports are values, not live bindings, therefore a variable that can change cannot be exported.
 *
 * @throws FilterLoadError with the place of a syntax error or of something that a filter may not use.
 */
export function transformModule(source: string, file: string): ModuleText {
  const text = stripTypes(source.replace(/^\ufeff/, '').replace(/^#!/, '//'), file);
  const fail = (offset: number, problem: string): never => {
    const { line, column } = lineAndColumn(text, offset);
    throw new FilterLoadError(problem, file, line, column);
  };
  initSync();
  let lexed: ReturnType<typeof parse>;
  try {
    lexed = parse(text, file);
  } catch (error) {
    const offset = (error as { idx?: number }).idx;
    return fail(offset ?? 0, 'syntax error');
  }
  const [imports, exports] = lexed;
  const edits: Edit[] = [];
  const statements: ModuleImport[] = [];
  const dynamicImports: string[] = [];
  const importStarts = new Set<number>();

  for (const found of imports) {
    if (found.t === 3) {
      edits.push({ start: found.s, end: found.e, put: MODULE_PARAMETERS[2] });
    } else if (found.t === 2) {
      edits.push({ start: found.ss, end: found.ss + 6, put: MODULE_PARAMETERS[1] });
      if (found.n !== undefined) dynamicImports.push(found.n);
    } else if (found.t !== 1) {
      fail(found.ss, 'import source and import defer are not supported in filters');
    } else {
      importStarts.add(found.ss);
      edits.push({ start: found.ss, end: found.se, put: '' });
      const type = found.at?.find(([key]) => key === 'type')?.[1];
      if (type !== undefined && type !== 'json') fail(found.ss, `import of type ${type} is not supported; json is`);
      statements.push({
        specifier: found.n ?? '',
        json: type === 'json',
        ...parseClause(text.slice(found.ss, found.s - 1)),
        ...lineAndColumn(text, found.ss),
      });
    }
  }

  const exported: string[] = [];
  const exportStarts = new Set<number>();
  for (const found of exports) {
    if (importStarts.has(found.ss)) continue;
    // The lexer takes `extends` of a nameless class for its name.
    const local = found.ln === 'extends' ? undefined : found.ln;
    exported.push(`${JSON.stringify(found.n)}: ${local ?? DEFAULT_LOCAL}`);
    if (exportStarts.has(found.ss)) continue;
    exportStarts.add(found.ss);
    const after = skipBlank(text, found.ss + 6);
    if (text.charAt(after) === '{') {
      edits.push({ start: found.ss, end: endOfList(text, after), put: '' });
    } else if (text.startsWith('default', after)) {
      const end = after + 'default'.length;
      edits.push({ start: found.ss, end, put: local === undefined ? `const ${DEFAULT_LOCAL} =` : '' });
    } else {
      const changing = /^(?:let|var)\b/.exec(text.slice(after, after + 4));
      if (changing !== null) {
        const problem = `a filter exports constants: make \`${found.n}\` a const, or export a function that returns it`;
        fail(found.ss, problem);
      }
      edits.push({ start: found.ss, end: found.ss + 6, put: '' });
    }
  }

  const prologue = `(async function (${MODULE_PARAMETERS.join(', ')}) { 'use strict'; ${importDeclarations(statements)}`;
  const body = applyEdits(text, edits).replace(/^[ \t]*export\s*\{\s*\}/gm, (all) => all.replace(/[^\s]/g, ' '));
  return {
    code: `${prologue}${body}\nreturn { __proto__: null, ${exported.join(', ')} };\n})`,
    prologueLength: prologue.length,
    imports: statements,
    dynamicImports,
  };
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly put: string;
}

function stripTypes(source: string, file: string): string {
  if (!/\.m?ts$/.test(file)) return source;
  try {
    return stripTypeScriptTypes(source, { mode: 'strip', sourceUrl: file });
  } catch (error) {
    const place = syntaxErrorPlace(error);
    const message = (error as Error).message.replace(
      'in strip-only mode',
      'in filters, whose types are only erased: write plain JavaScript for it',
    );
    throw new FilterLoadError(message, file, place?.line, place?.column, error);
  }
}

/** Puts the edits in, each padded so that everything behind it keeps its line and column. */
function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, put } of [...edits].sort((a, b) => a.start - b.start)) {
    const blank = text.slice(start, end).replace(/[^\n\r]/g, ' ');
    result += text.slice(at, start) + put + blank.slice(put.length);
    at = end;
  }
  return result + text.slice(at);
}

function importDeclarations(statements: readonly ModuleImport[]): string {
  let text = '';
  statements.forEach(({ bindings }, index) => {
    const named: string[] = [];
    for (const { imported, local } of bindings) {
      if (imported === '*') text += `const ${local} = $imports[${index}]; `;
      else named.push(`${JSON.stringify(imported)}: ${local}`);
    }
    if (named.length > 0) text += `const { ${named.join(', ')} } = $imports[${index}]; `;
  });
  return text;
}

const TOKEN = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"[^"]*"|'[^']*'|[\p{ID_Continue}$]+|[{},*]/gu;

/** The clause between `import` or `export` and the specifier. */
function parseClause(clause: string): { bindings: ImportBinding[]; reexports: ImportBinding[] } {
  const tokens = (clause.match(TOKEN) ?? []).filter((token) => !token.startsWith('/'));
  const isExport = tokens[0] === 'export';
  const names: ImportBinding[] = [];
  let inBraces = false;
  for (let i = 1; i < tokens.length; i++) {
    const token = tokens[i] as string;
    if (token === 'from' && !inBraces && i === tokens.length - 1) break;
    if (token === '{' || token === '}') inBraces = token === '{';
    if (token === '{' || token === '}' || token === ',') continue;
    const renamed = tokens[i + 1] === 'as' && tokens[i + 2] !== undefined && !/^[,}]$/.test(tokens[i + 2] as string);
    const imported = inBraces || token === '*' ? unquote(token) : 'default';
    const local = renamed ? unquote(tokens[i + 2] as string) : isExport && token === '*' ? '' : unquote(token);
    names.push({ imported, local });
    if (renamed) i += 2;
  }
  return isExport ? { bindings: [], reexports: names } : { bindings: names, reexports: [] };
}

function unquote(token: string): string {
  return /^["']/.test(token) ? token.slice(1, -1) : token;
}

/** Offset of the first character at or after `offset` that is neither white space nor a comment. */
function skipBlank(text: string, offset: number): number {
  const blank = /(?:\s|\/\*[\s\S]*?\*\/|\/\/[^\n]*)*/y;
  blank.lastIndex = offset;
  blank.exec(text);
  return blank.lastIndex;
}

/** Offset behind the `}` of an export list that opens at `open`. */
function endOfList(text: string, open: number): number {
  const token = new RegExp(TOKEN.source, 'gu');
  token.lastIndex = open;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    if (match[0] === '}') return token.lastIndex;
  }
  return text.length;
}
