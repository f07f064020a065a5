import type { FlowKey } from '../kernel/flow.js'
import type { Network } from '../proxy-protocol/index.js'
import type { HeadReader } from './head-result.js'
import type { GateLimits } from './limits.js'
import type { Receivers } from './outbox.js'

export interface GateOptions<Head> extends Receivers<Head> {
  readonly limits?: Partial<GateLimits>
}

export interface ListenOptions<Head> {
  /** Comes back as `listener` with each connection. */
  readonly name: string
  /** An IP literal; 0.0.0.0 and :: cost one more system call per connection. An IPv6 listener takes no IPv4. */
  readonly address: string
  /** 0 lets the kernel choose. */
  readonly port: number
  /** Default 4096; the kernel caps it at net.core.somaxconn. */
  readonly backlog?: number
  /**
   * TCP_DEFER_ACCEPT: who says nothing stays in the kernel about that long. Default 5; 0 switches it off, as is needed
   * where the server may speak first.
   */
  readonly deferAcceptSeconds?: number
  /**
   * Each connection must come from one of these and begin with a PROXY protocol header; every other one is rejected with
   * a code BATON_PROXY_*. Left out: no header is looked for.
   */
  readonly proxyFrom?: readonly Network[]
  /** Default {@link readRequestHead}. A reader that takes length 0 for a head gets every connection at once. */
  readonly readHead?: HeadReader<Head>
}

/** What a watched connection is reported with. */
export interface WatchTag<Head> {
  readonly name: string
  readonly flow: FlowKey
  readonly readHead?: HeadReader<Head>
}

export interface GateStats {
  readonly accepted: number
  /** Connections that have not shown their whole head, watched ones too. */
  readonly pending: number
  /** Connections that count against the limits: accepted, and neither reported as ended nor released. */
  readonly counted: number
  /** Times that accepting rested for want of descriptors or memory. */
  readonly acceptRests: number
}
