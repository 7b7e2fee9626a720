/**
 * A validated `typed_config`: the full protobuf name of its `@type` without the `type.googleapis.com/` prefix, and the
 * validated message (proto field names, durations in milliseconds, defaults filled in).
 */
export interface TypedConfig<T = unknown> {
  readonly type: string;
  readonly value: T;
}
