export { HeaderMap } from '../http/headers.ts';
export { RequestHead, ResponseHead } from '../http/message.ts';
export type { ConnectionInfo, StreamInfo, TlsInfo } from '../observe/stream-info.ts';
export type {
  CallFailure,
  CallHeaders,
  CallRequest,
  CallResponse,
  Calls,
  UnaryOptions,
  UnaryReceiver,
} from './calls.ts';
export { CallError, GrpcError } from './calls.ts';
export type { FilterEnv, Logger, ProxyFacts, SharedCount } from './env.ts';
export { Slot } from './env.ts';
export type {
  BodyHookResult,
  HookResult,
  HttpFilterDefinition,
  HttpFilterHooks,
  HttpStream,
  RouteRateLimits,
  RouteView,
} from './http.ts';
export { defineHttpFilter } from './http.ts';
export type {
  NetworkDataResult,
  NetworkFilterDefinition,
  NetworkFilterHooks,
  NetworkHookResult,
  NetworkStream,
} from './network.ts';
export { defineNetworkFilter } from './network.ts';
export type { FilterSemantics } from './semantics.ts';
export type { StandardSchemaV1 } from './standard-schema.ts';
export type { BufferBody, Continue, MessageReply, Reply, ReplyOptions, Stop, Verdict } from './verdict.ts';
export { bufferBody, CONTINUE, reply, replyMessage, stop } from './verdict.ts';
