import { join } from 'node:path'
import { type BpfMap, loadObject, runProgram } from '../kernel/bpf.js'
import { closeFd } from '../kernel/host.js'
import { packageRoot } from '../kernel/native.js'
import type { SteeringLogger } from './types.js'

const object = join(packageRoot, 'dist/bpf/count.bpf.o')
/** The least that BPF_PROG_TEST_RUN takes for a frame, and some. */
const anyFrame = Buffer.alloc(64)

/**
 * How many flows the table holds. Linux 6.6 tells a program (some microseconds, whatever the number); before that the
 * table is read through (some 0.3 µs for each flow).
 */
export class FlowCount {
  readonly #flows: BpfMap
  readonly #logger: SteeringLogger | undefined
  /** Loaded at the first use; null: this kernel does not take it. */
  #program: number | null | undefined

  constructor(flows: BpfMap, logger: SteeringLogger | undefined) {
    this.#flows = flows
    this.#logger = logger
  }

  read(): number {
    if (this.#program === undefined) this.#program = this.#load()
    if (this.#program !== null) return runProgram(this.#program, anyFrame, 1).verdict
    let flows = 0
    for (const chunk of this.#flows.chunks()) flows += chunk.count
    return flows
  }

  close(): void {
    if (this.#program) closeFd(this.#program)
    this.#program = undefined
  }

  #load(): number | null {
    try {
      const fd = loadObject(object, { flows: { fd: this.#flows.fd } })
      closeFd(fd('flows'))
      return fd('count')
    } catch (error) {
      this.#logger?.info({ err: error }, 'this kernel does not count flows: they are counted one by one')
      return null
    }
  }
}
