import { readFileSync } from 'node:fs'
import { watchReadable } from './host.js'
import { native } from './native.js'

/** The addon's own; freed with it. */
type RingHandle = object

interface CgroupCalls {
  cgroupAttach(program: number, path: string): number
  ringOpen(map: number): RingHandle
  ringRead(ring: RingHandle, buffer: Buffer, recordBytes: number): number
}

const calls = (): CgroupCalls => native<CgroupCalls>()

/** Where the unified hierarchy (cgroup v2) is mounted; undefined where it is not. */
export function unifiedCgroup(): string | undefined {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((one) => one.split(' ')[2] === 'cgroup2')
  return line?.split(' ')[1]
}

/** Hangs a sockops program at a cgroup, beside what is there. @returns the link's fd. @throws Error with step and errno */
export function attachSockOps(program: number, cgroup: string): number {
  return calls().cgroupAttach(program, cgroup)
}

/** Records read in one go. */
const READ_RECORDS = 256

/** What a program writes to a ring buffer map, in records of one size. */
export class Ring {
  readonly #ring: RingHandle
  readonly #stop: () => void

  /**
   * @param onRecords `count` records, one after the other, valid during the call only
   * @throws Error with step and errno
   */
  constructor(map: number, recordBytes: number, onRecords: (records: Buffer, count: number) => void) {
    const buffer = Buffer.alloc(READ_RECORDS * recordBytes)
    const { ringRead } = calls()
    this.#ring = calls().ringOpen(map)
    this.#stop = watchReadable(map, () => {
      let count = READ_RECORDS
      while (count === READ_RECORDS) {
        count = ringRead(this.#ring, buffer, recordBytes)
        if (count > 0) onRecords(buffer, count)
      }
    })
  }

  close(): void {
    this.#stop()
  }
}
