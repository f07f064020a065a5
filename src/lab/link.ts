import { ipBatch, netnsFolder, runNow } from './command.js'
import type { Host } from './host.js'

export interface LinkEnd {
  readonly host: Host
  readonly iface: string
}

export interface Loss {
  /** Share of the frames that are lost on the way from `near` to `far`, 0 … 1. */
  readonly toFar: number
  /** Share of the frames that are lost on the way from `far` to `near`, 0 … 1. */
  readonly toNear: number
}

/**
 * A cable between two hosts (a veth pair). Loss and cuts happen at the `far` end, which should be the one that only
 * forwards (a router's or bridge's port): there a lost frame is lost in the network, while a sender's own kernel would
 * notice a drop on its way out, and a program at the receiver's tc ingress would see the frame before nft drops it.
 */
export class Link {
  readonly near: LinkEnd
  readonly far: LinkEnd

  /** Use lab.link(). */
  constructor(near: LinkEnd, far: LinkEnd) {
    this.near = near
    this.far = far
  }

  /**
   * Drops frames at random (nft numgen). A veth carries whole super-frames (GSO) of up to 64 KiB, each lost or not;
   * a lab made with `superFrames: false` loses segments. @throws BatonError BATON_LAB_COMMAND
   */
  lose(loss: Loss): void {
    const rule = (share: number) =>
      share <= 0
        ? ''
        : share >= 1
          ? 'drop;'
          : `numgen random mod 100000 < ${Math.round(share * 100_000)} drop;`
    const { host, iface } = this.far
    const table = `table netdev link-${iface}`
    const hook = (name: string, body: string) =>
      `  chain ${name} { type filter hook ${name} device "${iface}" priority -500; ${body} }\n`
    const none = loss.toFar <= 0 && loss.toNear <= 0
    const chains = `${table} {\n${hook('ingress', rule(loss.toFar))}${hook('egress', rule(loss.toNear))}}\n`
    const rules = `add ${table}\ndelete ${table}\n${none ? '' : chains}`
    runNow('nsenter', [`--net=${netnsFolder}/${host.namespace}`, 'nft', '-f', '-'], rules)
  }

  /** Nothing comes through, and neither end is told (as when a switch beyond the cable fails). */
  cut(): void {
    this.lose({ toFar: 1, toNear: 1 })
  }

  /** Ends cut() and lose(). */
  restore(): void {
    this.lose({ toFar: 0, toNear: 0 })
  }

  /**
   * Limits the rate both ways by a token bucket with a queue of `queueMs` (default 50). 0 takes the limit off. What the
   * machine is late by more than `burstMs` (default 4) is lost to the rate; a larger one lets more through at once.
   */
  cap(megabitsPerSecond: number, queueMs = 50, burstMs = 4): void {
    for (const { host, iface } of [this.near, this.far]) {
      if (megabitsPerSecond === 0) this.#tc(host, `qdisc replace dev ${iface} root noqueue`)
      else {
        const burstBytes = Math.max(16_384, Math.round((megabitsPerSecond * 1_000_000) / 8 / 1000) * burstMs)
        const bucket = `tbf rate ${megabitsPerSecond}mbit burst ${burstBytes} latency ${queueMs}ms`
        this.#tc(host, `qdisc replace dev ${iface} root ${bucket}`)
      }
    }
  }

  #tc(host: Host, line: string): void {
    runNow('nsenter', [`--net=${netnsFolder}/${host.namespace}`, 'tc', ...line.split(' ')])
  }
}

/** The line that makes a veth pair from outside both namespaces. */
function linkLine(near: LinkEnd, far: LinkEnd): string {
  const end = (side: LinkEnd) => `${side.iface} netns ${side.host.namespace}`
  return `link add ${end(near)} type veth peer name ${end(far)}`
}

/** Makes all the cables with one command. @throws BatonError BATON_LAB_COMMAND */
export function makeLinks(links: readonly { readonly near: LinkEnd; readonly far: LinkEnd }[]): void {
  ipBatch(links.map(({ near, far }) => linkLine(near, far)))
}
