export type { Format, FormatOptions } from './compile-format.ts';
export { compileFormat, DEFAULT_FORMAT } from './compile-format.ts';
export type { JsonFormatOptions } from './compile-json-format.ts';
export { compileJsonFormat } from './compile-json-format.ts';
export { OPERATOR_NAMES } from './compile-operator.ts';
export type { FormatContext } from './field.ts';
export { FormatError } from './format-error.ts';
export type { SubstitutionFormat } from './substitution-format.ts';
export { compileSubstitutionFormat } from './substitution-format.ts';
