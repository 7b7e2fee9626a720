import type { ComponentId } from '../../observe/components.ts';

/** What a native function shows of its stack; undefined says nothing, and the caller is asked. */
type NativeRule = readonly [pattern: RegExp, part: ComponentId];

/** Functions of Node, V8, libuv and OpenSSL, innermost first. */
const NODE: readonly NativeRule[] = [
  [
    /^v8::internal::(?:Heap::|Scaveng|MarkCompact|Mark(?:ing|er)|Sweeper|MinorMarkSweep|GCTracer|Evacuat|YoungGeneration|ConcurrentMarking|IncrementalMarking|PagedSpace|LocalHeap|GlobalHandles|CollectGarbage|Memory(?:Allocator|Chunk))/,
    'runtime',
  ],
  // Helpers of the collector and of the compiler are woken from within whatever made them necessary.
  [/PostTask|NotifyConcurrencyIncrease|^v8::platform::DefaultJobState/, 'runtime'],
  [
    /^v8::internal::(?:compiler::|maglev::|baseline::|turboshaft::|interpreter::|parsing::|Compiler|Pars|OptimizingCompile|Deoptimizer|TieringManager|Runtime_(?:Compile|NotifyDeopt|Bytecode|Stack)|BackgroundCompile|OptimizedCompilation|SharedFunctionInfo)/,
    'runtime',
  ],
  [
    /^(?:SSL_|ssl3?_|tls1?3?_|EVP_|evp_|aes|AES|gcm|GHASH|gmul|(?:skip_)?iv_len_12|chacha|ChaCha|poly1305|CRYPTO_|BIO_|ossl_|OPENSSL|X509|bn_|BN_|ecp_|EC_|sha\d|SHA\d|x25519|rsaz?_|RSA_|node::crypto::TLSWrap|node::crypto::)/,
    'tls',
  ],
  [
    /node::(?:StreamBase::Write|LibuvStreamWrap::DoTryWrite|LibuvStreamWrap::DoWrite|StreamResource::|WriteWrap|StreamReq|StreamBase::JSMethod)|^uv_(?:try_)?write|^uv__(?:try_)?write/,
    'sidecar_write',
  ],
  [
    /node::(?:LibuvStreamWrap::OnUv(?:Read|Alloc)|CustomBufferJSListener|EmitToJSStreamListener|StreamBase::CallJSOnread|LibuvStreamWrap::ReadStart|InternalMakeCallback|AsyncWrap::MakeCallback|InternalCallbackScope|InternalCallbackScope)|^uv__(?:stream_io|read)|^uv__stream/,
    'sidecar_read',
  ],
  [
    /^uv__(?:io_poll|epoll|run_|update_time|hrtime|metrics|io_|platform)|^uv_(?:run|hrtime|update_time|metrics|now)|node::SpinEventLoop|node::Environment::(?:RunTimers|CheckImmediate|RunAndClear)|node::NodePlatform|node::PerIsolatePlatform|node::WorkerThreadsTaskRunner/,
    'event_poll',
  ],
];

/** The part that a native function of Node belongs to. */
export function nodePart(symbol: string): ComponentId | undefined {
  for (const [pattern, part] of NODE) if (pattern.test(symbol)) return part;
  return undefined;
}
