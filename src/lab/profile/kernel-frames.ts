import type { ComponentId } from '../../observe/components.ts';
import type { Frame } from './stack-reader.ts';

/** Kernel functions by which a stack is known, in the order in which they are asked for. */
const RULES: readonly (readonly [pattern: RegExp, part: ComponentId])[] = [
  // Who is sent away by the scheduler on the way back from a call, or from an interrupt, is in no call any more.
  [/^(?:exit_to_user_mode_loop|irqentry_exit)/, 'kernel_other'],
  [
    /^(?:ep_poll|do_epoll_|__x64_sys_epoll_|__arm64_sys_epoll_|__se_sys_epoll_|do_sys_poll|core_sys_select)/,
    'event_poll',
  ],
  [
    /^(?:ksys_read|vfs_read|do_readv|vfs_readv|__(?:x64|arm64)_sys_p?readv?|__sys_recv|__(?:x64|arm64)_sys_recv|do_iter_readv)/,
    'os_read',
  ],
  // The receive side of a loopback hop is run where the sender's lock is released, on the sender's time. What a read sends,
  // acknowledgements and window updates, is the read's.
  [/^(?:net_rx_action|process_backlog|__netif_receive_skb|ip_rcv|tcp_v[46]_rcv)/, 'os_ipc'],
  [
    /^(?:ksys_write|vfs_write|do_writev|vfs_writev|__(?:x64|arm64)_sys_p?writev?|__sys_send|__(?:x64|arm64)_sys_send|do_sendfile|do_iter_write)/,
    'os_write',
  ],
];

/**
 * What the kernel was doing. `user` is the innermost function of user space: of a call whose way in and out was hit,
 * its wrapper in libc tells which one it was.
 */
export function kernelPart(kernel: readonly Frame[], user: Frame | undefined): ComponentId {
  for (const [pattern, part] of RULES) if (kernel.some(({ symbol }) => pattern.test(symbol))) return part;
  if (kernel.some(({ symbol }) => /entry_SYSCALL|do_syscall|syscall_/.test(symbol))) {
    const call = user?.symbol ?? '';
    if (/epoll|poll|select/.test(call)) return 'event_poll';
    if (/read|recv/.test(call)) return 'os_read';
    if (/write|send/.test(call)) return 'os_write';
  }
  return 'kernel_other';
}
