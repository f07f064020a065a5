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

/** In one line, for tables. @param versions of what is compared, by name */
export function machineLine(
  at: ReturnType<typeof machine>,
  versions: Readonly<Record<string, string>>,
): string {
  const { cpu, cores, memoryGiB, kernel, loadAverage } = at
  const peers = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const where = `${cores} cores${at.virtual ? ' of a virtual machine' : ''} (${cpu}), ${memoryGiB} GiB`
  return `${where}, Linux ${kernel}, load average ${loadAverage.toFixed(1)} at the start\n${peers.join(' · ')}`
}
