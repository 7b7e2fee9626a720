import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Issued } from './pki.ts';

/**
 * A volume as Kubernetes mounts a Secret: the files are links into `..data`, itself a link, which is swapped when the
 * Secret changes. Files change all at once, or one at a time with `edit`.
 */
export class SecretVolume implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'outrigger-secret-'));
  private version = 0;
  private contents: Record<string, string> = {};

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.swap(files);
  }

  /** The path of a file. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** These files change, the others stay; all at the same moment. */
  swap(files: Readonly<Record<string, string>>): void {
    const isNew = Object.keys(files).filter((name) => !(name in this.contents));
    this.contents = { ...this.contents, ...files };
    const folder = `..v${++this.version}`;
    mkdirSync(join(this.path, folder));
    for (const [name, text] of Object.entries(this.contents)) writeFileSync(join(this.path, folder, name), text);
    symlinkSync(folder, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    for (const name of isNew) symlinkSync(join('..data', name), join(this.path, name));
    rmSync(join(this.path, `..v${this.version - 1}`), { recursive: true, force: true });
  }

  /** Changes one file in place. */
  edit(name: string, text: string): void {
    this.contents[name] = text;
    writeFileSync(join(this.path, '..data', name), text);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** The files of a certificate in a volume, as `kubernetes.io/tls` names them. */
export function tlsFiles({ cert, key }: Issued): Record<string, string> {
  return { 'tls.crt': cert, 'tls.key': key };
}
