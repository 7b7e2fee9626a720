/** How Node, its module loader and its threads say that the process (EMFILE) or the system (ENFILE) has no descriptor left. */
const SHORTAGE = /EMFILE|ENFILE|too many open files/i;

/** Whether something failed for lack of file descriptors, which may pass: what took them are connections, as a rule. */
export function isDescriptorShortage(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return SHORTAGE.test(`${code} ${message}`);
}
