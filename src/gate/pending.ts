import type { FlowKey } from '../kernel/flow.js'
import { noSlot, type Waiting } from './deadline-wheel.js'
import type { HeadReader } from './head-result.js'

/** What every report about a connection begins with. */
export interface Connection {
  readonly fd: number
  readonly flow: FlowKey
  readonly listener: string
  readonly acceptedAtMs: number
  /** Who a balancer in front says the client is (PROXY protocol); null where none says anything. */
  readonly claimed: FlowKey | null
}

/** What is to be seen of a connection. */
export interface Expected<Head> {
  readonly headerDue: boolean
  readonly readHead: HeadReader<Head>
  readonly watched: boolean
}

/** A connection that has not shown its whole head. Only such have any state here. */
export class Pending<Head> implements Waiting {
  connection: Connection
  /** A PROXY protocol header is due before the head. */
  headerDue: boolean
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

  constructor(connection: Connection, { headerDue, readHead, watched }: Expected<Head>, generation: number) {
    this.connection = connection
    this.headerDue = headerDue
    this.readHead = readHead
    this.generation = generation
    this.watched = watched
  }
}
