import type { FlowKey } from '../kernel/flow.js'
import { noSlot, type Waiting } from './deadline-wheel.js'
import type { HeadReader } from './head-result.js'

/** What every report about a connection begins with. */
export interface Connection {
  readonly fd: number
  readonly flow: FlowKey
  readonly listener: string
  readonly acceptedAtMs: number
}

/** A connection that has not shown its whole head. Only such have any state here. */
export class Pending<Head> implements Waiting {
  readonly connection: Connection
  readonly readHead: HeadReader<Head>
  /** Tells a descriptor from the one that had its number before. */
  readonly generation: number
  /** Given by watch(); not counted against the limits here. */
  readonly watched: boolean
  /** Bytes that the reader found incomplete. */
  seen = 0
  widened = false
  deadlineMs = Number.POSITIVE_INFINITY
  slot = noSlot

  constructor(connection: Connection, readHead: HeadReader<Head>, generation: number, watched: boolean) {
    this.connection = connection
    this.readHead = readHead
    this.generation = generation
    this.watched = watched
  }
}
