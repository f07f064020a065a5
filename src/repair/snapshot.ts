import type { FlowKey } from '../kernel/flow.js'

/**
 * Everything that the kernel knows of an established connection and that another kernel needs to go on with it.
 * Sequence numbers are unsigned 32-bit. Sources: include/uapi/linux/tcp.h, net/ipv4/tcp.c (TCP_REPAIR), CRIU soccr.
 *
 *    receive queue                               send queue
 *    nextSequence − queue.length … nextSequence   writeSequence − queue.length … writeSequence
 *    └── read by nobody yet ───────────┘          └─ sent, not ACKed ─┴─ unsent (unsentBytes) ─┘
 */
export interface Snapshot {
  /** Client → VIP. */
  readonly flow: FlowKey
  /** The address family of the socket itself: 6 for a v4-mapped flow on an AF_INET6 socket. */
  readonly socketFamily: 4 | 6
  readonly receive: {
    /** RCV.NXT: one past the last byte of `queue`. */
    readonly nextSequence: number
    /** Bytes received and ACKed that nobody has read. */
    readonly queue: Buffer
  }
  readonly send: {
    /** write_seq: one past the last byte of `queue`. */
    readonly writeSequence: number
    /** Bytes written and not ACKed: first those sent at least once, then `unsentBytes` that never were. */
    readonly queue: Buffer
    readonly unsentBytes: number
  }
  /** struct tcp_repair_window. */
  readonly window: {
    readonly sndWl1: number
    readonly sndWnd: number
    readonly maxWindow: number
    readonly rcvWnd: number
    readonly rcvWup: number
  }
  /** The negotiated clamp, in bytes (TCP_MAXSEG in repair mode). */
  readonly mss: number
  /** Only what both ends agreed on in their SYNs. */
  readonly options: {
    readonly sack: boolean
    /** Shift counts 0–14. */
    readonly windowScale: { readonly send: number; readonly receive: number } | null
    /** `value` as TCP_TIMESTAMP gives it, with the microsecond bit taken out. */
    readonly timestamps: { readonly value: number; readonly microseconds: boolean } | null
  }
  /** Socket options that do not travel by themselves. */
  readonly socket: {
    /** Name of the congestion control, for example cubic; at most 15 bytes. */
    readonly congestion: string
    readonly noDelay: boolean
    /** Seconds and count; null when SO_KEEPALIVE is off. */
    readonly keepAlive: { readonly idle: number; readonly interval: number; readonly count: number } | null
    /** TCP_USER_TIMEOUT in milliseconds; 0 is the system's default. */
    readonly userTimeoutMs: number
    /** IP_TOS or IPV6_TCLASS. */
    readonly tos: number
    /** SO_MARK. */
    readonly mark: number
  }
}
