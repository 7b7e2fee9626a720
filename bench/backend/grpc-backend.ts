import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../run/root.ts';

/** Where `outrigger bench setup` puts the gRPC backend, below the checkout. */
const PROGRAM = join('.bench', 'grpc', 'grpc-backend');

/** The gRPC backend in Go, where it was built. */
export function findGrpcBackend(root: string): string | undefined {
  const program = join(root, PROGRAM);
  return existsSync(program) ? program : undefined;
}

/**
 * Builds the gRPC backend from bench/backend/grpc.
 *
 * @returns the program, or undefined where Go is not installed
 * @throws with what Go said when it cannot build it
 */
export function buildGrpcBackend(root: string): string | undefined {
  const go = findProgram('go');
  if (go === undefined) return undefined;
  const program = join(root, PROGRAM);
  mkdirSync(join(program, '..'), { recursive: true });
  const result = spawnSync(go, ['build', '-o', program, '.'], {
    cwd: join(root, 'bench', 'backend', 'grpc'),
    encoding: 'utf8',
  });
  if (result.status !== 0) throw new Error(`cannot build the gRPC backend: ${result.error?.message ?? result.stderr}`);
  return program;
}
