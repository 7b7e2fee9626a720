/**
 * The vocabulary of configuration schemas, for the messages here and for filters' own: protobuf's JSON form as Envoy
 * reads it. Defaults are given in input form: `optional(duration(), '15s')`.
 */
export { anyConfig, list, mapOf } from './containers.ts';
export { check, type MessageOf, message, oneof, unsupported } from './message.ts';
export {
  bool,
  boolValue,
  bytes,
  double,
  duration,
  enumOf,
  fixedBool,
  headerName,
  headerValue,
  int32,
  int64,
  jsonValue,
  nonEmptyString,
  string,
  struct,
  uint32,
  uint32Value,
  uint64,
  uint64Value,
} from './scalars.ts';
export { optional, Problem, type Schema } from './schema.ts';
