import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net, { type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type Agent, type AgentOptions, createAgent } from '../../src/backend-agent/index.js'
import { BatonError } from '../../src/errors/index.js'
import { type Arrival, Gate, type RequestHead } from '../../src/gate/index.js'
import {
  type AgentLink,
  type Channel,
  type Claimed,
  type Closed,
  dialAgent,
  Giver,
  type Hello,
  type Message,
  type Offer,
  type Park,
  type Settlement,
  type Taken,
  Taker,
} from '../../src/handoff/index.js'
import { inNetnsUntilNextTick, setHomeNetns } from '../../src/kernel/host.js'
import { type Host, Lab } from '../../src/lab/index.js'
import { discard, freeze, restore, thaw } from '../../src/repair/index.js'
import type { RoutesDocument } from '../../src/routing/index.js'
import { settle } from './session-harness.js'

export const vip4 = '10.9.0.1'
export const vip6 = 'fd09::1'
const clientAddress = { 4: '10.5.0.1', 6: 'fd05::1' } as const
const token = 'a-token-for-tests-of-the-agent-0123456789'

/**
 * Three hosts, two cables; the client's route to the VIP says which of the two others has the connection.
 *
 *     front (the test plays the frontend) ── client ── back (this process; the agent)
 */
export class Stage {
  readonly lab: Lab
  readonly client: Host
  readonly front: Host
  readonly back: Host
  readonly folder = mkdtempSync(join(tmpdir(), 'btagt'))

  constructor(prefix: string) {
    this.lab = Lab.create({ prefix })
    const [client, front, back] = this.lab.addHosts(['client', 'front', 'back'])
    if (client === undefined || front === undefined || back === undefined) throw new Error('no hosts')
    this.client = client
    this.front = front
    this.back = back
    this.lab.links([
      {
        near: { host: client, iface: 'eth1', addresses: ['10.1.0.1/24', 'fd01::1/64'] },
        far: { host: front, addresses: ['10.1.0.2/24', 'fd01::2/64'] },
      },
      {
        near: { host: client, iface: 'eth2', addresses: ['10.2.0.1/24', 'fd02::1/64'] },
        far: { host: back, addresses: ['10.2.0.2/24', 'fd02::2/64'] },
      },
    ])
    client.ip([`addr add ${clientAddress[4]}/32 dev lo`, `addr add ${clientAddress[6]}/128 dev lo nodad`])
    front.ip([
      `addr add ${vip4}/32 dev lo`,
      `addr add ${vip6}/128 dev lo nodad`,
      `route add ${clientAddress[4]} via 10.1.0.1`,
      `route add ${clientAddress[6]} via fd01::1`,
    ])
    back.ip([`route add ${clientAddress[4]} via 10.2.0.1`, `route add ${clientAddress[6]} via fd02::1`])
    setHomeNetns(back.path)
    process.env.RUNTIME_DIRECTORY = this.folder
    writeFileSync(join(this.folder, 'token'), token, { mode: 0o600 })
    this.steer('front')
    after(async () => {
      await this.lab.dispose()
      rmSync(this.folder, { recursive: true })
    })
  }

  /** Sends the client's packets for the VIP to one of the two hosts. */
  steer(to: 'front' | 'back'): void {
    const hop = to === 'front' ? 1 : 2
    this.client.ip([`route replace ${vip4} via 10.${hop}.0.2`, `route replace ${vip6} via fd0${hop}::2`])
  }

  /** A started agent; its control address is the back host's own. */
  async agent(options: Partial<AgentOptions>): Promise<Agent> {
    const agent = createAgent({
      id: 'back-1',
      pools: ['own'],
      vips: [vip4, vip6],
      control: { address: '10.2.0.2:0', tokenFile: join(this.folder, 'token') },
      admin: { address: '127.0.0.1:0' },
      log: { level: 'fatal' },
      ...options,
    })
    await agent.start()
    after(() => agent.destroy())
    return agent
  }

  /** A client's connection to the VIP, wherever that is steered. @param localPort 0 is any */
  connect(port: number, version: 4 | 6 = 4, localPort = 0): Socket {
    return inNetnsUntilNextTick(this.client.path, () =>
      net.connect({
        host: version === 4 ? vip4 : vip6,
        port,
        localAddress: clientAddress[version],
        localPort,
        allowHalfOpen: true,
        noDelay: true,
      }),
    )
  }
}

export interface FrontOptions {
  /** Default front-1. */
  readonly id?: string
  readonly routes?: RoutesDocument
  /** What a PARK is answered with. Default true. */
  readonly parks?: boolean
  /** What a connection that comes back meets. Default adopt. */
  readonly returns?: 'adopt' | 'refuse'
}

/** What the test plays: a frontend with one listener, without steering but the client's route. */
export class Front {
  readonly stage: Stage
  readonly options: FrontOptions
  readonly gate: Gate
  readonly link: AgentLink
  readonly arrivals: Arrival<RequestHead>[] = []
  /** What was offered, in order. */
  readonly offers: Offer[] = []
  readonly closed: Closed[] = []
  readonly claimed: Claimed[] = []
  readonly parks: Park[] = []
  readonly unparks: Message[] = []
  readonly returned: { readonly offer: Offer; readonly fd: number }[] = []
  readonly #giver: Giver<(settlement: Settlement) => void>
  readonly #taker: Taker
  port = 0

  constructor(stage: Stage, agent: Pick<Agent, 'address'>, options: FrontOptions = {}) {
    this.stage = stage
    this.options = options
    this.gate = new Gate({
      onArrivals: (arrivals) =>
        this.arrivals.push(...arrivals.map((one) => ({ ...one, bytes: Buffer.alloc(0) }))),
      onRejected() {},
      onGone() {},
    })
    for (const address of [vip4, vip6]) {
      this.port = stage.front.inside(() => this.gate.listen({ name: 'web', address, port: this.port })).port
    }
    const epoch = Date.now()
    this.#giver = new Giver({ epoch, onSettled: (tell, settlement) => tell(settlement) })
    this.#taker = new Taker({ epoch, onOffer: (taken) => this.#takeBack(taken) })
    const hello: Hello = {
      type: 'hello',
      minVersion: 1,
      maxVersion: 1,
      role: 'frontend',
      id: options.id ?? 'front-1',
      epoch,
      steerTo: { ipv4: null, ipv6: null },
      pools: [],
      capacity: 1000,
      kernel: 'test',
      features: [],
    }
    if (agent.address === undefined) throw new Error('the agent is not started')
    this.link = dialAgent({
      address: agent.address,
      auth: { kind: 'token', token },
      hello,
      onUp: (channel) => {
        this.#giver.channelUp(channel)
        this.#taker.channelUp(channel)
        if (options.routes !== undefined) {
          channel.send({
            type: 'routes',
            version: options.routes.version,
            json: JSON.stringify(options.routes),
          })
        }
      },
      onDown: (_error, channel) => {
        if (channel === undefined) return
        this.#giver.channelDown(channel)
        this.#taker.channelDown(channel)
      },
      onMessage: (channel, message) => this.#onMessage(channel, message),
    })
    after(() => {
      this.link.destroy()
      this.#giver.destroy()
      this.gate.destroy()
    })
  }

  async up(): Promise<Channel> {
    await settle(() => this.link.channel !== undefined)
    return this.link.channel as Channel
  }

  /** The next connection whose head is whole. */
  async arrival(): Promise<Arrival<RequestHead>> {
    await settle(() => this.arrivals.length > 0)
    return this.arrivals.shift() as Arrival<RequestHead>
  }

  /** Freezes, offers, and either steers to the agent or goes on here. */
  async handOver(arrival: Arrival<RequestHead>, changes: Partial<Offer> = {}): Promise<Settlement> {
    const channel = await this.up()
    const snapshot = freeze(arrival.fd, arrival.flow)
    const settlement = await new Promise<Settlement>((resolve) => {
      const offer: Offer = {
        type: 'offer',
        claimed: null,
        id: this.#giver.nextId(),
        budgetMs: 1000,
        listener: 'web',
        pool: 'own',
        snapshot,
        context: Buffer.from('notes'),
        ...changes,
      }
      this.offers.push(offer)
      const error = this.#giver.offer(channel, offer, resolve)
      if (error !== undefined) throw error
    })
    if (settlement.kind === 'refused') {
      thaw(arrival.fd)
      return settlement
    }
    this.stage.steer('back')
    discard(arrival.fd)
    return settlement
  }

  /** What the agent says has become of an offer of this frontend or of its predecessor. */
  async ask(id: number): Promise<Settlement> {
    const channel = await this.up()
    return new Promise((resolve) => this.#giver.inherit(channel.peer.id, id, resolve))
  }

  #onMessage(channel: Channel, message: Message): void {
    if (this.#giver.handle(channel, message) || this.#taker.handle(channel, message)) return
    if (message.type === 'closed') this.closed.push(message)
    else if (message.type === 'claimed') this.claimed.push(message)
    else if (message.type === 'unpark') this.unparks.push(message)
    else if (message.type === 'park') {
      this.parks.push(message)
      channel.send({ type: 'parked', id: message.id, ok: this.options.parks ?? true })
    }
  }

  #takeBack(taken: Taken): void {
    if (this.options.returns === 'refuse') {
      this.#taker.refuse(taken, new BatonError('BATON_HANDOFF_BUSY'))
      return
    }
    this.#taker.begin(taken)
    this.#taker.commit(taken)
    const fd = this.stage.front.inside(() => restore(taken.offer.snapshot))
    this.stage.steer('front')
    this.#taker.adopted(taken)
    this.returned.push({ offer: taken.offer, fd })
  }
}

/** Output of a program in this process's namespace. */
export function output(command: string, ...args: string[]): string {
  return spawnSync(command, args, { encoding: 'utf8' }).stdout
}
