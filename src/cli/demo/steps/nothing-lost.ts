import { existsSync, statSync } from 'node:fs'
import { changed, retransmissions } from '../../../lab/index.js'
import type { Scene } from '../scene.js'
import { expect, type Step } from '../step.js'

type Counters = Readonly<Record<string, number>>

/**
 * Segments that a host sent again for want of an acknowledgement, less those that the other end had already (it says so
 * by DSACK, RFC 2883): a frame that overtakes another is sent again without being lost. A tail loss probe that brought the
 * acknowledgement counts as neither; on a busy machine it goes out before the first copy was dealt with.
 */
function lost(counters: Counters): number {
  const of = (name: string) => counters[`TcpExt.${name}`] ?? 0
  const again = of('TCPFastRetrans') + of('TCPSlowStartRetrans') + of('TCPTimeouts')
  return Math.max(0, again - of('TCPDSACKRecvSegs'))
}

/** The last step: what the kernels counted since the tour began. */
export function nothingLost(scene: Scene): Step {
  const { hosts, atStart } = scene
  return {
    name: 'nothing-lost',
    title: 'nobody saw a RST, and no segment was lost',
    async run() {
      const since = [...atStart].map(([host, before]) => changed(before, host.snmp()))
      const resets = since[0]?.['Tcp.EstabResets'] ?? 0
      const again = since.reduce((sum, counters) => sum + retransmissions(counters), 0)
      expect(resets === 0, "no connection of the client's was reset", resets)
      const missing = since.reduce((sum, counters) => sum + lost(counters), 0)
      expect(missing === 0, 'nothing was lost', missing)
      const log = hosts.file('front-1.access.log')
      return {
        resetsAtClient: resets,
        segmentsLost: missing,
        segmentsSentAgain: again,
        accessLogBytes: existsSync(log) ? statSync(log).size : 0,
      }
    },
  }
}
