import { Backend } from '../../src/frontend/backend.js'
import type { Connection } from '../../src/frontend/connection.js'
import { encodeNotes } from '../../src/frontend/context.js'
import { Dispatch } from '../../src/frontend/dispatch.js'
import { headNotes, isWhole } from '../../src/frontend/head.js'
import { Pool } from '../../src/frontend/pool.js'
import { type Arrival, Gate, type RequestHead } from '../../src/gate/index.js'
import { type Channel, Giver } from '../../src/handoff/index.js'
import { closeFd } from '../../src/kernel/host.js'
import type { BackendRecord } from '../../src/registry/index.js'
import { discard, freeze, type Snapshot } from '../../src/repair/index.js'
import { compileRoutes } from '../../src/routing/index.js'
import { openSteering, type Steering } from '../../src/steering/index.js'
import { Clients, until } from './clients.js'
import type { PhasesAgent } from './phases-agent.js'
import type { Stopwatch } from './stopwatch.js'

const BUDGET_MS = 2000

export interface FrontendOptions {
  readonly watch: Stopwatch
  readonly agent: PhasesAgent
  readonly clientNetns: string
  readonly address: string
  readonly nextHop: string
  readonly pinPath: string
}

/** The frontend's half, in this process: its own parts in its own order, each with the clock on it. */
export class PhasesFrontend {
  readonly #options: FrontendOptions
  readonly #gate: Gate
  readonly #port: number
  readonly #steering: Steering
  readonly #dispatch: Dispatch
  readonly #backend: Backend
  readonly #giver: Giver<Connection>
  #arrivals: Arrival<RequestHead>[] = []
  #chosen: readonly Connection[] = []
  #choseAtMs = 0
  #adopted: Connection[] = []
  #batch = 0
  #failure: Error | undefined

  constructor(options: FrontendOptions, channel: Channel) {
    this.#options = options
    this.#steering = openSteering({ pinPath: options.pinPath, interface: 'eth0' })
    this.#backend = makeBackend(options.nextHop, channel)
    const pool = new Pool('inline', { handoff: 'auto', balance: 'roundRobin' })
    pool.backends = [this.#backend]
    const routes = compileRoutes({ version: 1, routes: manyRoutes })
    this.#dispatch = new Dispatch({
      route: (head) => (isWhole(head) ? undefined : routes.match(head.host, head.path)),
      pool: () => pool,
      refusals: { answer: (_listener, code) => ({ bytes: Buffer.from(code), status: 400, alert: null }) },
      handOff: (connections) => {
        this.#choseAtMs = performance.now()
        this.#chosen = connections
      },
      relay: (_fd, _relayed, reason) => this.#fail(`relayed: ${reason}`),
      splice: (_fd, { reason }) => this.#fail(`relayed: ${reason}`),
      refused: ({ code }) => this.#fail(`refused: ${code}`),
      routed: () => undefined,
      release: () => undefined,
      stopping: () => false,
    })
    this.#giver = new Giver<Connection>({
      epoch: 1,
      onSettled: (connection, { kind }) => {
        if (kind !== 'adopted') this.#fail(`an offer was ${kind}`)
        else if (this.#adopted.push(connection) === this.#batch) this.#steer(this.#adopted)
      },
    })
    this.#giver.channelUp(channel)
    channel.onMessage = (message) => this.#giver.handle(channel, message)
    this.#gate = new Gate({
      onArrivals: (arrivals) => this.#arrivals.push(...arrivals),
      onRejected: (rejected) => {
        for (const { fd, code } of rejected) {
          closeFd(fd)
          this.#fail(`rejected: ${code}`)
        }
      },
    })
    this.#port = this.#gate.listen({ name: 'web', address: options.address, port: 0 }).port
  }

  /** Hands `batch` connections over, side by side, and waits until their clients have their answers. */
  async round(batch: number): Promise<void> {
    const { watch, agent, clientNetns, address } = this.#options
    agent.batch = batch
    agent.ended = 0
    this.#batch = batch
    this.#arrivals = []
    this.#adopted = []
    const clients = new Clients(clientNetns, address, this.#port, batch)
    try {
      await until('the arrivals', () => this.#arrivals.length === batch || this.#check())
      const connections = this.#choose(batch)
      for (const connection of connections) connection.id = this.#giver.nextId()
      const parkAtMs = performance.now()
      this.#steering.park(connections.map(({ flow, id, nextHop }) => ({ key: flow, id, nextHop })))
      watch.lap(`park/${batch}`, parkAtMs, batch)
      const snapshots = connections.map((connection) => this.#freeze(connection))
      await this.#offer(connections, snapshots)
      await until('ADOPTED', () => this.#adopted.length === batch || this.#check())
      await clients.done()
      await until('the agent to close', () => agent.ended === batch || this.#check())
      this.#linger(connections)
    } finally {
      clients.destroy()
    }
  }

  #choose(batch: number): readonly Connection[] {
    const startedAtMs = performance.now()
    this.#dispatch.arrivals(this.#arrivals)
    this.#check()
    this.#options.watch.add(`choose/${batch}`, ((this.#choseAtMs - startedAtMs) * 1000) / batch)
    return this.#chosen
  }

  #freeze({ fd, flow }: Connection): Snapshot {
    const startedAtMs = performance.now()
    const snapshot = freeze(fd, flow)
    this.#options.watch.lap(`freeze/${this.#batch}`, startedAtMs)
    return snapshot
  }

  /** From the notes for the access log to the end of the write. */
  async #offer(connections: readonly Connection[], snapshots: readonly Snapshot[]): Promise<void> {
    const { watch } = this.#options
    const startedAtMs = performance.now()
    for (const [index, connection] of connections.entries()) {
      const { id, listener } = connection
      const offer = {
        type: 'offer',
        claimed: null,
        id,
        budgetMs: BUDGET_MS,
        listener,
        pool: 'inline',
        snapshot: snapshots[index]!,
        context: notes(connection),
      } as const
      const error = this.#giver.offer(this.#backend.channel, offer, connection)
      if (error !== undefined) throw error
    }
    // The channel writes in a microtask that stands before this one.
    await undefined
    watch.lap(`offer/${connections.length}`, startedAtMs, connections.length)
  }

  #steer(connections: readonly Connection[]): void {
    const { watch } = this.#options
    const batch = connections.length
    const steerAtMs = performance.now()
    this.#steering.steer(connections.map(({ flow, id, nextHop }) => ({ key: flow, id, nextHop })))
    watch.lap(`steer/${batch}`, steerAtMs, batch)
    for (const { fd } of connections) {
      const discardAtMs = performance.now()
      discard(fd)
      watch.lap(`discard/${batch}`, discardAtMs)
    }
  }

  /** What CLOSED costs the flow table: still the same flow? Then it lingers. */
  #linger(connections: readonly Connection[]): void {
    const batch = connections.length
    const startedAtMs = performance.now()
    const verdicts = this.#steering.lingerOf(connections.map(({ flow, id }) => ({ key: flow, id })))
    this.#options.watch.lap(`linger/${batch}`, startedAtMs, batch)
    if (!verdicts.every((verdict) => verdict === 'lingers')) throw new Error('a flow is not in the table')
  }

  #fail(message: string): void {
    this.#failure ??= new Error(message)
  }

  #check(): false {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#options.agent.failure !== undefined) throw this.#options.agent.failure
    return false
  }

  close(): void {
    this.#gate.destroy()
    this.#giver.destroy()
    this.#steering.detach()
  }
}

/** Nine that do not match and one that does. */
const manyRoutes = [
  ...Array.from({ length: 9 }, (_, index) => ({
    match: { host: `*.site${index}.example`, path: { prefix: `/part${index}/` } },
    pool: 'inline',
  })),
  { match: { path: { prefix: '/inline/' } }, pool: 'inline' },
]

function makeBackend(nextHop: string, channel: Channel): Backend {
  const record: BackendRecord = {
    id: 'phases-1',
    pools: ['inline'],
    agent: { address: '127.0.0.1', port: 1 },
    address: null,
    weight: 1,
    draining: false,
    active: 0,
    epoch: 1,
  }
  const backend = new Backend(record)
  backend.channel = channel
  backend.capacity = channel.capacity
  backend.accepting = true
  backend.steerTo = { ipv4: nextHop, ipv6: null }
  return backend
}

function notes({ listener, head, route, pool, backend, acceptedAtMs, headAtMs }: Connection): Buffer {
  return encodeNotes({
    acceptedAt: Math.round(performance.timeOrigin + acceptedAtMs),
    listener,
    client: null,
    ...headNotes(head),
    route,
    pool: pool.name,
    backend: backend.id,
    headMs: headAtMs - acceptedAtMs,
    chooseMs: performance.now() - headAtMs,
  })
}
