import fs from 'node:fs';
import { isIP } from 'node:net';

/** The system's hosts file (hosts(5)), read again when it changes: containers have theirs rewritten after the start. */
export class HostsFile {
  private readonly path: string;
  private addresses: ReadonlyMap<string, readonly string[]> = new Map();
  private version = '';

  constructor(path = '/etc/hosts') {
    this.path = path;
  }

  /** Addresses of a name, IPv4 and IPv6, in the file's order; [] when the file does not name it or cannot be read. */
  async lookup(name: string): Promise<readonly string[]> {
    await this.refresh();
    return this.addresses.get(name.toLowerCase()) ?? [];
  }

  private async refresh(): Promise<void> {
    try {
      const { mtimeMs, ino, size } = await fs.promises.stat(this.path);
      const version = `${mtimeMs} ${ino} ${size}`;
      if (version === this.version) return;
      this.addresses = parseHosts(await fs.promises.readFile(this.path, 'utf8'));
      this.version = version;
    } catch {
      this.addresses = new Map();
      this.version = '';
    }
  }
}

/** Names of a hosts file in lower case, with their addresses. Lines that do not begin with an address are passed over. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const known = addresses.get(name.toLowerCase());
      if (known === undefined) addresses.set(name.toLowerCase(), [address]);
      else if (!known.includes(address)) known.push(address);
    }
  }
  return addresses;
}
