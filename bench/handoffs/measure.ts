import { answeredOf, errorsOf, runClient } from '../client/index.js'
import type { HostCpu } from '../host-cpu/index.js'
import type { Field } from '../peers/field.js'
import { objectPath, type Peer } from '../peers/peer.js'
import type { Sample } from './results.js'

export const OBJECT_BYTES = 1024

export interface Pace {
  readonly seconds: number
  readonly connections: number
}

/** New connections for one answer each, as fast as it goes. @throws Error when there was no answer at all */
export async function measurePeer(
  field: Field,
  cpu: HostCpu,
  peer: Peer,
  { seconds, connections }: Pace,
  from: readonly string[],
): Promise<Sample> {
  const host = peer.host
  if (host === undefined) throw new Error(`${peer.title} has no frontend`)
  const read = async () => {
    const snapshot = await cpu.read()
    return { all: snapshot.of(host), softirq: snapshot.packetsOf(host) }
  }
  const before = await read()
  const result = await runClient(field.net.client, {
    to: peer.targets.map((target) => ({ ...target, path: objectPath(OBJECT_BYTES) })),
    seconds,
    loop: { kind: 'closed', connections },
    from,
    samples: 0,
  })
  const after = await read()
  const answered = answeredOf(result)
  if (answered === 0) throw new Error(`${peer.title} gave no answer: ${JSON.stringify(result.errors)}`)
  return {
    peer: peer.name,
    connections: answered,
    errors: errorsOf(result),
    perSecond: answered / result.seconds,
    hostUs: ((after.all - before.all) * 1e6) / answered,
    softirqUs: ((after.softirq - before.softirq) * 1e6) / answered,
  }
}
