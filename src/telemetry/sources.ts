/** The registry's state, as its status() gives it. */
export interface RegistrySample {
  readonly connected: boolean
  readonly queuedWrites: number
  readonly droppedWrites: number
}

/** One control channel. */
export interface ChannelSample {
  /** The other side's id. */
  readonly peer: string
  readonly up: boolean
  /** Of the last PING; null before the first. */
  readonly rttMs: number | null
}
