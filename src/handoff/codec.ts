import type { Take } from './take.js'

/** How the body of one message is written and read. */
export interface Codec<M> {
  /** An upper bound of the body's bytes, cheap to get. */
  room(message: M): number
  /** Writes the body at `at`; returns the offset after it. @throws BatonError BATON_FRAME_VALUE */
  put(to: Buffer, at: number, message: M): number
  /** Reads the body to its last byte. @throws BatonError BATON_FRAME_MALFORMED */
  take(take: Take): M
}

/** The place of a value in a list of names, which is its code less 1. */
export function codeOf<T extends string>(names: readonly T[], name: T): number {
  return names.indexOf(name) + 1
}
