import { readFileSync } from 'node:fs'
import { watchReadable } from './host.js'
import { native } from './native.js'

/** The addon's own; freed with it. */
type RingHandle = object

interface CgroupCalls {
  cgroupAttach(program: number, path: string): number
  ringOpen(map: number): RingHandle
  ringFd(ring: RingHandle): number
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

  /** @param onRecord the record is only valid during the call. @throws Error with step and errno */
  constructor(map: number, recordBytes: number, onRecord: (record: Buffer) => void) {
    const buffer = Buffer.alloc(READ_RECORDS * recordBytes)
    this.#ring = calls().ringOpen(map)
    this.#stop = watchReadable(calls().ringFd(this.#ring), () => {
      let count = READ_RECORDS
      while (count === READ_RECORDS) {
        count = calls().ringRead(this.#ring, buffer, recordBytes)
        for (let at = 0; at < count * recordBytes; at += recordBytes)
          onRecord(buffer.subarray(at, at + recordBytes))
      }
    })
  }

  close(): void {
    this.#stop()
  }
}
