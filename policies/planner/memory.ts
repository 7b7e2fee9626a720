/** Idle resident memory of a sidecar, MiB, in the run of 2026-11-22, scenario `memory` (docs/benchmark.md). */
export const SIDECAR_MEMORY_MIB = 53.3;
