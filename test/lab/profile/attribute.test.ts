import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { attributeInterrupted, attributeKernel, attributeOutrigger } from '../../../src/lab/profile/attribute.ts';
import { JitMap } from '../../../src/lab/profile/jit-map.ts';
import { methodsOf, SourcePlaces } from '../../../src/lab/profile/source-places.ts';
import type { Frame, Sample } from '../../../src/lab/profile/stack-reader.ts';
import { wovenSource } from '../../../src/observe/components.ts';

const ROOT = join(import.meta.dirname, '../../..');
const HEADER = Buffer.alloc(40);
HEADER.writeUInt32LE(0x4a695444, 0);
HEADER.writeUInt32LE(40, 8);
const places = new SourcePlaces(ROOT);
const attribute = attributeOutrigger(JitMap.parse(HEADER), places);

/** `k:` marks a kernel function. */
function sample(...names: string[]): Sample {
  const frames = names.map(
    (name): Frame => ({ address: 1, symbol: name.replace('k:', ''), isKernel: name.startsWith('k:'), object: '/x' }),
  );
  return { threadId: 1, timeNs: 1, frames };
}

test.each([
  ['os_read', ['k:tcp_recvmsg', 'k:ksys_read', 'k:entry_SYSCALL_64_after_hwframe', 'read']],
  ['os_write', ['k:tcp_sendmsg', 'k:ksys_write', 'k:do_syscall_64', '__GI___libc_write']],
  ['os_ipc', ['k:tcp_v4_rcv', 'k:process_backlog', 'k:net_rx_action', 'k:ksys_write', '__GI___libc_write']],
  ['os_read', ['k:tcp_v4_rcv', 'k:net_rx_action', 'k:__tcp_transmit_skb', 'k:tcp_cleanup_rbuf', 'k:ksys_read', 'read']],
  ['event_poll', ['k:schedule', 'k:ep_poll', 'k:__x64_sys_epoll_pwait', 'epoll_pwait']],
  ['kernel_other', ['k:__schedule', 'k:exit_to_user_mode_loop', 'k:do_syscall_64', '__GI___libc_write']],
  ['kernel_other', ['k:clear_page_erms', 'k:exc_page_fault', 'node::StreamBase::WriteString']],
  ['os_write', ['k:entry_SYSCALL_64_safe_stack', '__GI___libc_write', 'node::LibuvStreamWrap::DoTryWrite']],
])('the kernel side of a stack: %s', (part, names) => {
  expect(attribute(sample(...names))).toBe(part);
  expect(attributeKernel(sample(...names))).toBe(part);
});

test.each([
  ['sidecar_write', ['memcpy', 'node::StreamBase::WriteString<(node::encoding)4>', 'Builtins_CallApi']],
  ['sidecar_read', ['node::StreamBase::CallJSOnreadMethod', 'uv__stream_io', 'uv__io_poll']],
  ['event_poll', ['uv__io_poll', 'uv_run']],
  ['runtime', ['v8::internal::Scavenger::ScavengePage', 'v8::internal::Heap::Scavenge', 'uv__io_poll']],
  ['tls', ['EVP_EncryptUpdate', 'SSL_write', 'node::crypto::TLSWrap::ClearIn', 'uv__io_poll']],
  ['tls', ['_int_malloc']],
  ['sidecar_write', ['malloc', 'node::StreamBase::WriteString']],
  ['runtime', ['__GI___lll_lock_wake', 'node::WorkerThreadsTaskRunner::PostTask', 'uv__io_poll']],
  ['unattributed', ['', 'strange_function']],
])('the native side of a stack: %s', (part, names) => {
  expect(attribute(sample(...names))).toBe(part);
  expect(attributeKernel(sample(...names))).toBe('user');
});

test('sources are told by file, and by method where a file has several parts', () => {
  const part = (file: string, line = 1): string | undefined => places.partOf(`file://${ROOT}/${file}`, line);
  expect(part('src/http/http1/head-parser.ts')).toBe('http_parse');
  expect(part('src/http/http2/hpack/decoder.ts')).toBe('header_codec');
  expect(part('src/upstream/http1-pool.ts')).toBe('routing');
  expect(part('filters/ip-tagging.ts')).toBe('filter/ip-tagging');
  expect(part('filters/rbac/policy-index.ts')).toBe('filter/rbac');
  expect(part('src/http/headers.ts')).toBe('');
  expect(places.partOf('node:net', 1)).toBe('packet_processing');
  expect(places.partOf('/elsewhere/x.ts', 1)).toBeUndefined();
  const configured = new SourcePlaces(ROOT, new Map([['ip-tagging', 'tags']]));
  expect(configured.partOf(`${ROOT}/filters/ip-tagging.ts`, 1)).toBe('filter/tags');
});

test('a caller is where it called, not where the call returns to, which may be another file already', () => {
  const file = (name: string): string => `${ROOT}/src/http/http1/${name}.ts`;
  const code = `JS:*writeHead ${file('client-connection')}:119:12`;
  const jit = {
    find: (address: number) => ({ code, file: file(address < 100 ? 'request-text' : 'message-writer'), line: 1 }),
  } as unknown as JitMap;
  const js: Frame = { address: 100, symbol: '', isKernel: false, object: '/x' };
  const called: Frame = { address: 1, symbol: 'Builtins_StringAdd', isKernel: false, object: '/x' };
  const of = attributeOutrigger(jit, places);
  expect(of({ threadId: 1, timeNs: 1, frames: [called, js] })).toBe('header_codec');
  expect(of({ threadId: 1, timeNs: 1, frames: [js] })).toBe('sidecar_write');
});

test('an inlined helper belongs to the function that was inlined around it, not to the one that was compiled', () => {
  const lines: [file: string, line: number][] = [
    ['src/http/stream.ts', 1],
    ['filters/ip-tagging.ts', 3],
    ['src/http/headers.ts', 5],
  ];
  const jit = {
    find: (_: number, __: number, isPassedOver: (file: string, line: number) => boolean) => {
      const [file, line] = lines.findLast(([name, at]) => !isPassedOver(`${ROOT}/${name}`, at)) ?? ['', 0];
      return { code: `JS:*run ${ROOT}/src/http/stream.ts:1:1`, file: `${ROOT}/${file}`, line };
    },
  } as unknown as JitMap;
  const js: Frame = { address: 100, symbol: '', isKernel: false, object: '/x' };
  expect(attributeOutrigger(jit, places)({ threadId: 1, timeNs: 1, frames: [js] })).toBe('filter/ip-tagging');
});

/** A stack of functions that were compiled each by itself: file, line of the instruction, and method, the innermost first. */
function compiled(...functions: readonly [file: string, line: number][]): { jit: JitMap; sample: Sample } {
  const find = (address: number) => {
    const [file, line] = functions[Math.round(address) - 1] as [string, number];
    return { code: `JS:*f ${ROOT}/${file}:${line}:1`, file: `${ROOT}/${file}`, line };
  };
  const frames = functions.map((_, index): Frame => {
    // Of callers the stack has the address behind the call.
    return { address: index + (index === 0 ? 1 : 2), symbol: '', isKernel: false, object: '/x' };
  });
  return { jit: { find } as unknown as JitMap, sample: { threadId: 1, timeNs: 1, frames } };
}

/** The line of a method's head. */
function headOf(file: string, method: string): number {
  const found = methodsOf(readFileSync(join(ROOT, file), 'utf8')).find(({ name }) => name === method);
  return (found as { line: number }).line;
}

test('what a filter calls of streams and routes is the filter’s, until a seam of the probes is passed', () => {
  const stream = 'src/http/stream.ts';
  const mutations: [string, number] = ['src/http/route/header-mutations.ts', 90];
  const filter: [string, number] = ['filters/ip-tagging.ts', 1];
  const hooks: [string, number] = [stream, headOf(stream, 'runRequestHooks')];
  const partOf = (...functions: [string, number][]): string => {
    const { jit, sample: one } = compiled(...functions);
    return attributeOutrigger(jit, places)(one);
  };
  expect(partOf(mutations, filter, hooks)).toBe('filter/ip-tagging');
  expect(partOf(hooks, filter, hooks)).toBe('filter/ip-tagging');
  expect(partOf(mutations, hooks)).toBe('routing');
  expect(partOf(mutations, [stream, headOf(stream, 'matchRoute')], filter, hooks)).toBe('routing');
  expect(partOf(hooks, [stream, headOf(stream, 'onRequestHead')], filter, hooks)).toBe('packet_processing');
  expect(partOf(['src/http/http1/request-text.ts', 1], filter, hooks)).toBe('header_codec');
});

test('what a function of the probes calls is the method’s that it stands around, its own instructions are the caller’s', () => {
  const stream = 'src/http/stream.ts';
  const builtin: Frame = { address: 1, symbol: 'Builtins_StringAdd_CheckNone', isKernel: false, object: '/x' };
  const js: Frame = { address: 100, symbol: '', isKernel: false, object: '/x' };
  const partOf = (woven: { code: string }, ...frames: Frame[]): string => {
    const lines: [file: string, line: number][] = [
      [`${ROOT}/${stream}`, 1],
      [wovenSource('filter/access log'), 9],
    ];
    const find = (_: number, __: number, isPassedOver: (file: string, line: number) => boolean) => {
      const [file, line] = lines.findLast(([name, at]) => !isPassedOver(name, at)) ?? ['', 0];
      return { ...woven, file, line };
    };
    return attributeOutrigger({ find } as unknown as JitMap, places)({ threadId: 1, timeNs: 1, frames });
  };
  const inlined = { code: `JS:*run ${ROOT}/${stream}:1:1` };
  expect(partOf(inlined, builtin, js)).toBe('filter/access log');
  expect(partOf(inlined, js)).toBe('packet_processing');
  expect(places.partOf(wovenSource('write_call'), 1)).toBe('sidecar_write');
  expect(places.partOf(wovenSource(''), 1)).toBe('');
});

test('to the probes, what interrupts is a part of what it interrupts', () => {
  const interrupted = attributeInterrupted(JitMap.parse(HEADER), places);
  const write = 'node::StreamBase::WriteString';
  expect(interrupted(sample('k:clear_page_erms', 'k:exc_page_fault', write))).toBe('sidecar_write');
  expect(interrupted(sample('v8::internal::Heap::Scavenge', 'node::LibuvStreamWrap::OnUvRead'))).toBe('sidecar_read');
  expect(interrupted(sample('k:tcp_sendmsg', 'k:ksys_write', write))).toBe('os_write');
  expect(interrupted(sample('v8::internal::Heap::Scavenge'))).toBe('unattributed');
});
