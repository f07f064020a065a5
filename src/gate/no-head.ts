import type { HeadResult } from './head-result.js'

/** Stands for the head of a connection of which nothing is read: its server may speak first. */
export interface NoHead {
  readonly kind: 'tcp'
  readonly headBytes: 0
}

const nothing = { kind: 'head', head: { kind: 'tcp', headBytes: 0 } } as const

/** Takes every connection as soon as it is accepted, whatever it has said. */
export function readNothing(): HeadResult<NoHead> {
  return nothing
}
