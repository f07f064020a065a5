import { setTimeout as sleep } from 'node:timers/promises'
import { type FlowKey, flowKey } from '../../src/kernel/flow.js'
import { Tap } from '../../src/kernel/tap.js'
import { type Host, Lab } from '../../src/lab/index.js'
import { openSteering, type Steering, type SteeringOptions } from '../../src/steering/index.js'
import { flags, type Parsed, parseSegment, type Station, segment } from './segment.js'

const routerMac = Buffer.from('02000000fe00', 'hex')
const backendMac = Buffer.from('020000001100', 'hex')
export const backendMacText = backendMac.toString('hex')
export const vips = { ipv4: '10.0.0.100', ipv6: 'fd00::100' } as const
export const clients = { ipv4: '192.0.2.10', ipv6: '2001:db8::10' } as const
export const nextHops = { ipv4: '10.0.0.11', ipv6: 'fd00::11', linkLocal: 'fe80::11' } as const
export type Family = 'ipv4' | 'ipv6'
export const families: readonly Family[] = ['ipv4', 'ipv6']

/** What came out of a TAP, in order. */
class Probe {
  readonly tap: Tap
  readonly frames: Buffer[] = []

  constructor(tap: Tap) {
    this.tap = tap
  }

  /** The TCP segments of one client port so far. */
  segments(port: number): Parsed[] {
    this.tap.drain((frame) => {
      this.frames.push(Buffer.from(frame))
    })
    return this.frames.flatMap((frame) => {
      const parsed = parseSegment(frame)
      return parsed?.sourcePort === port || parsed?.destinationPort === port ? [parsed] : []
    })
  }
}

/**
 * A segment of which the test holds two ends by TAPs: the router, from which a client's frames come, and a backend that
 * only receives. The frontend is a host with a real stack.
 *
 *     router (TAP) ──┐
 *     backend (TAP) ─┼─ br0 ── eth0 frontend (VIPs)
 */
export class Wire {
  readonly frontend: Host
  readonly router: Probe
  readonly backend: Probe
  readonly #lab: Lab
  readonly #frontendMac: Buffer
  readonly pinPath: string
  #steering: Steering | undefined
  #nextPort = 10_000

  constructor(prefix: string) {
    const lab = Lab.create({ prefix })
    this.#lab = lab
    this.pinPath = `/sys/fs/bpf/${lab.name}`
    const [lan, frontend] = lab.addHosts(['lan', 'frontend'])
    if (!lan || !frontend) throw new Error('hosts')
    this.frontend = frontend
    lab.link({ host: frontend, addresses: ['10.0.0.1/24', 'fd00::1/64'] }, { host: lan, iface: 'frontend' })
    this.router = new Probe(lan.inside(() => new Tap('router')))
    this.backend = new Probe(lan.inside(() => new Tap('backend')))
    const mac = (bytes: Buffer) => bytes.toString('hex').replace(/..(?=.)/g, '$&:')
    lan.ip([
      'link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0',
      ...['frontend', 'router', 'backend'].map((name) => `link set ${name} master br0`),
      'link set br0 up',
    ])
    // The bridge learns who is where, and floods nothing.
    for (const [tap, own] of [
      [this.router.tap, routerMac],
      [this.backend.tap, backendMac],
    ] as const) {
      tap.write([Buffer.concat([Buffer.alloc(6, 0xff), own, Buffer.from('88b5', 'hex'), Buffer.alloc(46)])])
    }
    this.#frontendMac = Buffer.from(frontend.mac().replaceAll(':', ''), 'hex')
    for (const vip of [`${vips.ipv4}/32`, `${vips.ipv6}/128`]) frontend.addAddress('eth0', vip)
    frontend.ip([
      ...[nextHops.ipv4, nextHops.ipv6, nextHops.linkLocal].map(
        (address) => `neigh replace ${address} lladdr ${mac(backendMac)} dev eth0 nud permanent`,
      ),
      ...['10.0.0.254', 'fd00::fe'].map(
        (address) => `neigh replace ${address} lladdr ${mac(routerMac)} dev eth0 nud permanent`,
      ),
      'route add default via 10.0.0.254',
      'route add default via fd00::fe',
    ])
  }

  open(options: Partial<SteeringOptions> = {}): Steering {
    this.#steering = this.frontend.inside(() =>
      openSteering({ pinPath: this.pinPath, interface: 'eth0', maxFlows: 4096, ...options }),
    )
    return this.#steering
  }

  close(): void {
    this.#steering?.close()
    this.#steering = undefined
  }

  detach(): void {
    const steering = this.#steering
    this.#steering = undefined
    if (steering) this.frontend.inside(() => steering.detach())
  }

  /** A flow that no other test of this wire has. */
  flow(family: Family, vipPort = 80): { client: Station; vip: Station; key: FlowKey } {
    const port = this.#nextPort++
    const client = { mac: routerMac, address: clients[family], port }
    const vip = { mac: this.#frontendMac, address: vips[family], port: vipPort }
    return { client, vip, key: flowKey({ client, vip }) }
  }

  /** Connects a crafted client to a real listener of the frontend. @returns what the client is to acknowledge */
  async connect({ client, vip }: Pick<ReturnType<Wire['flow']>, 'client' | 'vip'>): Promise<number> {
    this.send(segment(client, vip, { flags: flags.syn, seq: 999 }))
    const answer = await until('SYN and ACK', () => this.router.segments(client.port)[0])
    if (answer.flags !== (flags.syn | flags.ack)) throw new Error(`flags ${answer.flags}`)
    this.send(segment(client, vip, { seq: 1000, ack: answer.seq + 1 }))
    return answer.seq + 1
  }

  /** Frames from the router's side, in order. */
  send(...frames: readonly Buffer[]): void {
    this.router.tap.write(frames)
  }

  async dispose(): Promise<void> {
    try {
      this.detach()
    } finally {
      this.router.tap.close()
      this.backend.tap.close()
      await this.#lab.dispose()
    }
  }
}

/** Polls until `look` returns something; the bound only ends a test that fails. */
export async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const endMs = performance.now() + 5000
  for (;;) {
    const seen = look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > endMs) throw new Error(`never came: ${what}`)
    await sleep(2)
  }
}

/** Time for frames that must not come to come after all. */
export const settle = (): Promise<void> => sleep(30)
