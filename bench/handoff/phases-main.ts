// A program for a frontend's host: every phase of a handoff by itself, the parts of the product in one process on the
// sockets of three hosts. Its argument is PhasesPlan as JSON; the last line of its output is {name: Summary} in µs.
import fastify from 'fastify'
import { attachChannelServer, type Channel, dialAgent, type Hello } from '../../src/handoff/index.js'
import { until } from './clients.js'
import { PhasesAgent } from './phases-agent.js'
import { PhasesFrontend } from './phases-frontend.js'
import { measureGate, measureHead } from './phases-gate.js'
import { Stopwatch } from './stopwatch.js'

export interface PhasesPlan {
  readonly clientNetns: string
  readonly backendNetns: string
  readonly address: string
  readonly nextHop: string
  readonly pinPath: string
  readonly journalPath: string
  readonly token: string
  /** Rounds of single connections, and of sixteen at once. */
  readonly single: number
  readonly sixteen: number
}

const hello = (role: 'frontend' | 'agent'): Hello => ({
  type: 'hello',
  minVersion: 1,
  maxVersion: 1,
  role,
  id: `phases-${role}`,
  epoch: 1,
  steerTo: { ipv4: null, ipv6: null },
  pools: [],
  capacity: 1024,
  kernel: '',
  features: [],
})

/** A real channel, over this host's loopback. */
async function openChannel(token: string, onAgent: (channel: Channel) => void) {
  const auth = { kind: 'token', token } as const
  const server = fastify({ logger: false })
  attachChannelServer(server, { auth, hello: () => hello('agent'), onChannel: onAgent })
  const { port } = new URL(await server.listen({ host: '127.0.0.1', port: 0 }))
  let up: Channel | undefined
  const link = dialAgent({
    address: { address: '127.0.0.1', port: Number(port) },
    auth,
    hello: hello('frontend'),
    onUp: (channel) => {
      up = channel
    },
    onDown: () => undefined,
    onMessage: (channel, message) => channel.onMessage(message),
  })
  await until('the channel', () => up !== undefined)
  const close = async () => {
    await link.close()
    await server.close()
  }
  return { channel: up!, close }
}

const plan = JSON.parse(process.argv[2] ?? '') as PhasesPlan
const watch = new Stopwatch()
const agent = new PhasesAgent(watch, { netns: plan.backendNetns, journalPath: plan.journalPath })
const { channel, close } = await openChannel(plan.token, (opened) => agent.attach(opened))
const frontend = new PhasesFrontend({ ...plan, watch, agent }, channel)
try {
  for (const warm of [true, false]) {
    const rounds = (count: number) => (warm ? Math.ceil(count / 4) : count)
    for (let round = 0; round < rounds(plan.single); round++) await frontend.round(1)
    for (let round = 0; round < rounds(plan.sixteen); round++) await frontend.round(16)
    measureHead(watch, rounds(plan.single))
    const { clientNetns: client, address } = plan
    await measureGate(watch, { client, address, batch: 1, rounds: rounds(plan.single / 4) })
    await measureGate(watch, { client, address, batch: 16, rounds: rounds(plan.sixteen) })
    if (warm) watch.clear()
  }
  process.stdout.write(`${JSON.stringify(watch.summaries())}\n`)
} catch (error) {
  // Said before tidying up: after a failure there may be something that never ends.
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 1
}
frontend.close()
await close()
await agent.close()
process.exit()
