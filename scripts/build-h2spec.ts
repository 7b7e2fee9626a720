/**
 * Builds h2spec, the conformance tests of HTTP/2, from its Go module into `.bench/h2spec` and prints the program's path.
 * Go verifies the modules against its checksum database. Nothing is done when the program is there already.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(import.meta.dirname, '..', '.bench', 'h2spec');
const BUILD_TIMEOUT_MS = 300_000;

/** h2spec names no versions of what it needs; these are known to build together. */
const GO_MOD = `module conformance

go 1.23

require (
	github.com/fatih/color v1.18.0
	github.com/spf13/cobra v1.8.0
	github.com/summerwind/h2spec v2.2.1+incompatible
	golang.org/x/net v0.50.0
)
`;

/** The program's path. @throws Error with Go's output when it cannot be built */
export function buildH2spec(): string {
  const program = join(FOLDER, 'h2spec');
  if (existsSync(program)) return program;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(join(FOLDER, 'go.mod'), GO_MOD);
  // A name of its own until it is whole: two builds at once do not meet.
  const unfinished = `${program}.${process.pid}`;
  const build = `go build -o ${unfinished} github.com/summerwind/h2spec/cmd/h2spec && mv ${unfinished} ${program}`;
  execFileSync('sh', ['-c', build], {
    cwd: FOLDER,
    env: { ...process.env, GOFLAGS: '-mod=mod -buildvcs=false', GOWORK: 'off' },
    timeout: BUILD_TIMEOUT_MS,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return program;
}

/** Why h2spec cannot be built here, or undefined. */
export function missingForH2spec(): string | undefined {
  if (existsSync(join(FOLDER, 'h2spec'))) return undefined;
  try {
    execFileSync('go', ['version'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return 'needs Go to build h2spec';
  }
}

if (import.meta.main) {
  const missing = missingForH2spec();
  if (missing !== undefined) console.log(`h2spec: ${missing}`);
  else console.log(buildH2spec());
}
