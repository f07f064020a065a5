import type { Host, LabProcess } from '../../src/lab/index.js'
import { compiled } from '../compile.js'
import type { Target } from '../peers/peer.js'
import { targetArgs } from './load.js'

/** As many as one client holds: below the number of files that it may have open. */
export const HELD_BY_ONE = 16_000

/** Connections that had one answer of 1 KiB each and stay, from as many client addresses as that takes. */
export class Held {
  readonly #programs: LabProcess[] = []
  readonly #host: Host
  readonly #targets: readonly Target[]
  #count = 0

  constructor(host: Host, targets: readonly Target[]) {
    this.#host = host
    this.#targets = targets
  }

  get count(): number {
    return this.#count
  }

  /** Opens more. @throws Error when one was lost @throws BatonError BATON_LAB_TIMEOUT */
  async add(count: number): Promise<void> {
    for (let left = count; left > 0; left -= HELD_BY_ONE) await this.#addByOne(Math.min(left, HELD_BY_ONE))
  }

  async #addByOne(count: number): Promise<void> {
    const from = `192.0.2.${20 + this.#programs.length}`
    if (!this.#host.addresses.get('eth0')?.includes(`${from}/32`)) this.#host.addAddress('eth0', `${from}/32`)
    const args = [String(count), '1024', from, ...targetArgs(this.#targets)]
    const program = this.#host.spawn(compiled('downloads/hold.c'), args)
    this.#programs.push(program)
    const said = await program.waitFor({ output: /held (\d+) lost (\d+)/, timeoutMs: 5000 + count * 2 })
    if (said?.[2] !== '0') throw new Error(`of ${count} connections from ${from} ${said?.[2]} were lost`)
    this.#count += count
  }

  /** Asks again on every hundredth: how many did, and how many were answered. */
  async sample(): Promise<{ readonly asked: number; readonly answered: number }> {
    const all = await Promise.all(
      this.#programs.map(async (program) => {
        program.kill('SIGUSR1')
        const said = await program.waitFor({ output: /asked (\d+) answered (\d+)/, timeoutMs: 20_000 })
        return { asked: Number(said?.[1]), answered: Number(said?.[2]) }
      }),
    )
    return all.reduce((sum, one) => ({
      asked: sum.asked + one.asked,
      answered: sum.answered + one.answered,
    }))
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()))
  }
}
