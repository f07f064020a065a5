import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** On what the figures were made. */
export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round((totalmem() / 2 ** 30) * 10) / 10,
    virtual: /\bhypervisor\b/.test(readFileSync('/proc/cpuinfo', 'utf8')),
    kernel: release(),
    node: process.version,
    v8: process.versions.v8,
    /** Of others too, at the start: above 0.5 the figures are those of a shared machine. */
    loadAverage: loadavg()[0] ?? 0,
    at: new Date().toISOString(),
  }
}
