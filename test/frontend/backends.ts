import { duplexPair } from 'node:stream'
import { Backend } from '../../src/frontend/backend.js'
import { Channel, type Hello } from '../../src/handoff/index.js'
import type { BackendRecord } from '../../src/registry/index.js'

/** A backend as the registry would describe it; without an agent unless `change` names one. */
export function makeBackend(id: string, change: Partial<BackendRecord> = {}): Backend {
  return new Backend({
    id,
    pools: ['web'],
    agent: null,
    address: null,
    weight: 1,
    draining: false,
    active: 0,
    epoch: 0,
    ...change,
  })
}

/** A channel that is up, over streams in memory, to an agent with these features. */
export async function openChannel(
  features: readonly string[] = [],
): Promise<{ channel: Channel; close(): void }> {
  const ends: Channel[] = []
  await Promise.all(
    duplexPair().map(
      (stream, index) =>
        new Promise<void>((resolve, reject) => {
          const made = new Channel(stream, {
            hello: index === 0 ? frontendHello : { ...agentHello, features },
            onOpen: () => resolve(),
            onFailed: reject,
          })
          ends.push(made)
        }),
    ),
  )
  return {
    channel: ends[0]!,
    close() {
      for (const end of ends) end.destroy()
    },
  }
}

/** As {@link makeBackend}, with an agent that is there and takes `capacity` connections at once. */
export function makeReachable(
  id: string,
  channel: Channel,
  change: Partial<BackendRecord> = {},
  capacity = 100,
): Backend {
  const backend = makeBackend(id, { agent: { address: '10.0.0.11', port: 7400 }, ...change })
  backend.channel = channel
  backend.capacity = capacity
  backend.accepting = true
  backend.steerTo = agentHello.steerTo
  return backend
}

const agentHello: Hello = {
  type: 'hello',
  minVersion: 1,
  maxVersion: 1,
  role: 'agent',
  id: 'agent-1',
  epoch: 1,
  steerTo: { ipv4: '10.0.0.11', ipv6: null },
  pools: ['web'],
  capacity: 100,
  kernel: '6.18',
  features: [],
}
const frontendHello: Hello = { ...agentHello, role: 'frontend', id: 'front-1', pools: [] }
