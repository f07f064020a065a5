import type { FlowKey } from '../kernel/flow.js'
import type { Tap } from '../kernel/tap.js'
import { EarlySyns } from './early-syns.js'
import { failedStep } from './failure.js'
import { frameFlow, frameIsSyn } from './frame.js'
import { Parking } from './parking.js'
import type { FlowTable } from './table.js'
import type { ParkingLimits, SteeringLogger } from './types.js'
import { UnknownFlows } from './unknown.js'

export interface WaitingOptions {
  readonly tap: Tap
  readonly table: FlowTable
  readonly limits: ParkingLimits | undefined
  /** Undefined: nobody is asked about flows that nobody knows. */
  readonly onUnknown: ((key: FlowKey) => void) | undefined
  readonly logger: SteeringLogger | undefined
}

/** The frames that wait in this process, and the TAP by which they come and go. */
export class Waiting {
  readonly #options: WaitingOptions
  readonly #parking: Parking
  readonly #unknown: UnknownFlows | undefined
  readonly #earlySyns = new EarlySyns()
  #tap: Tap | undefined
  #played = 0

  constructor(options: WaitingOptions) {
    this.#options = options
    this.#parking = new Parking(options.limits)
    this.#unknown = options.onUnknown ? new UnknownFlows() : undefined
    this.#tap = options.tap
  }

  /** Calls back while the TAP holds frames. Once. */
  watch(onFrames: () => void): void {
    this.#tap?.watch(onFrames)
  }

  /** Takes in what the TAP holds by now. @returns the flows that are steered or given back, and yet have frames here now */
  drain(): readonly FlowKey[] {
    const late: FlowKey[] = []
    const strays: Buffer[] = []
    const asked: FlowKey[] = []
    try {
      this.#tap?.drain((frame) => {
        const key = frameFlow(frame)
        if (!key) return
        const state = this.#parking.has(key) ? 'park' : this.#options.table.state(key)
        if (state === 'park') this.#parking.add(key, frame)
        else if (state === 'steer' && frameIsSyn(frame)) this.#earlySyns.add(key, frame, performance.now())
        else if (state === undefined && this.#unknown) {
          if (this.#unknown.add(key, frame)) asked.push(key)
        } else if (state === undefined) strays.push(Buffer.from(frame))
        else {
          // Parked a moment before the table was changed.
          this.#parking.add(key, frame)
          late.push(key)
        }
      })
    } catch (error) {
      if (failedStep(error) !== 'read TAP') throw error
      // Somebody removed the device. Flows are steered all the same; the program drops what it would park.
      this.#options.logger?.error({ err: error }, 'the TAP is gone: packets of frozen connections are lost')
      this.#tap?.unwatch()
      this.#tap = undefined
    }
    this.#write(strays)
    for (const key of asked) this.#options.onUnknown?.(key)
    return late
  }

  /** Whether frames of the flow wait. */
  has(key: FlowKey): boolean {
    return this.#parking.has(key) || this.#unknown?.has(key) === true
  }

  /**
   * Writes the flow's frames back, for the program to send where the table says by now. @returns how many the program had
   * parked: also those over the limits, but none from before the flow had an entry
   */
  play(key: FlowKey): number {
    if (this.#unknown) this.#write(this.#unknown.take(key))
    const parked = this.#parking.take(key)
    if (parked === undefined) return 0
    this.#write(parked.frames)
    return parked.came
  }

  /** The flow's end is known here: the beginning of its next connection goes on. @returns as play() */
  ended(key: FlowKey): number {
    const played = this.play(key)
    const syn = this.#earlySyns.take(key, performance.now())
    if (syn !== undefined) this.#write([syn])
    return played
  }

  /** Throws the flow's frames away. @returns as play() */
  forget(key: FlowKey): number {
    this.forgetUnknown(key)
    return this.#parking.take(key)?.came ?? 0
  }

  /** Throws away those that came before the flow had an entry. */
  forgetUnknown(key: FlowKey): void {
    this.#unknown?.take(key)
  }

  /** Whether a SYN waits for the end of the connection before. */
  get holdsSyns(): boolean {
    return !this.#earlySyns.isEmpty
  }

  get isEmpty(): boolean {
    return this.#parking.isEmpty && (this.#unknown?.isEmpty ?? true)
  }

  stats() {
    return {
      parkedFrames: this.#parking.frames,
      parkedBytes: this.#parking.bytes,
      parkedDropped: this.#parking.dropped,
      playedFrames: this.#played,
    }
  }

  clear(): void {
    this.#parking.clear()
    this.#unknown?.clear()
    this.#earlySyns.clear()
  }

  #write(frames: readonly Buffer[]): void {
    if (frames.length > 0 && this.#tap) this.#played += this.#tap.write(frames)
  }
}
