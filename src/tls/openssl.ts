import type { SecureContext } from 'node:tls';
import { inspect } from 'node:util';

/**
 * OpenSSL's own functions (its documented API), which Node's program holds and shows to its foreign function interface.
 * Pointers are addresses, or memory of ours. They are used where Node has no API of its own, and everything works
 * without them.
 */
const SIGNATURES = {
  SSL_CTX_get_num_tickets: { arguments: ['pointer'], return: 'u64' },
  SSL_CTX_set_num_tickets: { arguments: ['pointer', 'u64'], return: 'i32' },
  SSL_CTX_ctrl: { arguments: ['pointer', 'i32', 'i64', 'pointer'], return: 'i64' },
  SSL_CTX_set_cert_verify_callback: { arguments: ['pointer', 'pointer', 'pointer'], return: 'void' },
  SSL_get_ex_data_X509_STORE_CTX_idx: { arguments: [], return: 'i32' },
  SSL_get_finished: { arguments: ['pointer', 'pointer', 'u64'], return: 'u64' },
  SSL_is_server: { arguments: ['pointer'], return: 'i32' },
  X509_verify_cert: { arguments: ['pointer'], return: 'i32' },
  X509_STORE_CTX_get_error: { arguments: ['pointer'], return: 'i32' },
  X509_STORE_CTX_get_ex_data: { arguments: ['pointer', 'i32'], return: 'pointer' },
  X509_STORE_CTX_get0_cert: { arguments: ['pointer'], return: 'pointer' },
  X509_STORE_CTX_get0_untrusted: { arguments: ['pointer'], return: 'pointer' },
  X509_STORE_CTX_get0_chain: { arguments: ['pointer'], return: 'pointer' },
  OPENSSL_sk_num: { arguments: ['pointer'], return: 'i32' },
  OPENSSL_sk_value: { arguments: ['pointer', 'i32'], return: 'pointer' },
  i2d_X509: { arguments: ['pointer', 'pointer'], return: 'i32' },
  X509_get0_notAfter: { arguments: ['pointer'], return: 'pointer' },
  ASN1_TIME_diff: { arguments: ['pointer', 'pointer', 'pointer', 'pointer'], return: 'i32' },
} as const;

const VERIFY_CALLBACK = { arguments: ['pointer', 'pointer'], return: 'i32' } as const;

type Ffi = typeof import('node:ffi');

function load(ffi: Ffi) {
  const { lib, functions } = ffi.dlopen(null, SIGNATURES);
  return {
    ...functions,
    /** The address of a buffer's first byte; the buffer must stay referenced. */
    addressOf: (buffer: Uint8Array<ArrayBuffer>): bigint => ffi.getRawPointer(buffer),
    /** A C function `int (*)(X509_STORE_CTX *, void *)` for calls in this thread. `callback` must not throw. */
    verifyCallback: (callback: (store: bigint, argument: bigint) => number): bigint => {
      const pointer = lib.registerCallback(VERIFY_CALLBACK, (store, argument) =>
        callback(store as bigint, argument as bigint),
      );
      lib.refCallback(pointer);
      return pointer;
    },
  };
}

export type OpenSsl = ReturnType<typeof load>;

/** The Node release whose OpenSSL the tests ran on. */
const TRIED_NODE_MAJOR = 26;

let found: OpenSsl | undefined;
let looked = false;

/** OpenSSL; undefined in a Node with one of its own or of another release, or that may not load libraries. */
export function openSsl(): OpenSsl | undefined {
  if (looked) return found;
  looked = true;
  const ffi = process.getBuiltinModule('node:ffi');
  if (ffi === undefined || Number.parseInt(process.versions.node, 10) !== TRIED_NODE_MAJOR) return undefined;
  try {
    found = load(ffi);
  } catch {
    // Its program holds no OpenSSL, or the permission model forbids it.
  }
  return found;
}

/** What OpenSSL issues after each handshake of TLS 1.3 unless it is told otherwise. */
const DEFAULT_TICKETS = 2n;

/** The address of a new context, as Node shows it. Only where what lies there is a context as OpenSSL makes it. */
export function contextAddress(ssl: OpenSsl, { context }: SecureContext): bigint | undefined {
  const external = (context as { readonly _external?: unknown })._external;
  const address = /^\[External(?:: |<)([0-9a-f]+)[\]>]/.exec(inspect(external))?.[1];
  if (address === undefined) return undefined;
  const pointer = BigInt(`0x${address}`);
  return ssl.SSL_CTX_get_num_tickets(pointer) === DEFAULT_TICKETS ? pointer : undefined;
}
