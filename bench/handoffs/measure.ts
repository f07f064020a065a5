import { answeredOf, errorsOf, runClient } from '../client/index.js'
import type { OwnCore } from '../own-core.js'
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
  core: OwnCore,
  peer: Peer,
  { seconds, connections }: Pace,
  from: readonly string[],
): Promise<Sample> {
  const { result, use } = await core.use(peer, () =>
    runClient(field.net.client, {
      to: peer.targets.map((target) => ({ ...target, path: objectPath(OBJECT_BYTES) })),
      seconds,
      loop: { kind: 'closed', connections },
      from,
      samples: 0,
    }),
  )
  const answered = answeredOf(result)
  if (answered === 0) throw new Error(`${peer.title} gave no answer: ${JSON.stringify(result.errors)}`)
  return {
    peer: peer.name,
    connections: answered,
    errors: errorsOf(result),
    perSecond: answered / result.seconds,
    processUs: (use.processNs - use.insideNs) / answered / 1000,
    softirqUs: (use.insideNs + use.outsideNs) / answered / 1000,
  }
}
