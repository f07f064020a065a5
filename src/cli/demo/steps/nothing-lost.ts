import { existsSync, statSync } from 'node:fs'
import { changed, retransmissions } from '../../../lab/index.js'
import type { Scene } from '../scene.js'
import { expect, type Step } from '../step.js'

/** The last step: what the kernels counted since the tour began. */
export function nothingLost(scene: Scene): Step {
  const { hosts, atStart } = scene
  return {
    name: 'nothing-lost',
    title: 'nobody saw a RST, and no segment was sent twice',
    async run() {
      const since = [...atStart].map(([host, before]) => ({ host, counters: changed(before, host.snmp()) }))
      const resets = since[0]?.counters['Tcp.EstabResets'] ?? 0
      expect(resets === 0, "no connection of the client's was reset", resets)
      const again = since.map(({ host, counters }) => [host.name, retransmissions(counters)] as const)
      const senders = again.filter(([, segments]) => segments > 0)
      expect(senders.length === 0, 'nothing was retransmitted', Object.fromEntries(senders))
      const log = hosts.file('front-1.access.log')
      return {
        resetsAtClient: resets,
        retransmissions: again.reduce((sum, [, segments]) => sum + segments, 0),
        accessLogBytes: existsSync(log) ? statSync(log).size : 0,
      }
    },
  }
}
