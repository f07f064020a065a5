import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { BatonError } from '../errors/index.js'
import { addressBytes } from '../kernel/flow.js'
import type { Logger } from '../telemetry/index.js'

const run = promisify(execFile)

/** How long undo() waits for closed sockets to be done: 2 s. */
const LAST_BYTES_TURNS = 40
const LAST_BYTES_TURN_MS = 50

export interface HostSetupOptions {
  readonly mode: 'apply' | 'check' | 'off'
  readonly vips: readonly string[]
  /** The interface on the frontends' segment. */
  readonly interface: string | null
  readonly logger: Logger
}

/** A kernel setting below /proc/sys/net/ipv4/conf. `fits`: whether the value in force will do. */
interface Setting {
  readonly name: string
  readonly wanted: number
  fits(inForce: number): boolean
  readonly why: string
}

const settings: readonly Setting[] = [
  {
    name: 'arp_ignore',
    wanted: 1,
    fits: (value) => value >= 1 && value !== 3,
    why: 'this host must not answer ARP for the VIP',
  },
  {
    name: 'arp_announce',
    wanted: 2,
    fits: (value) => value === 2,
    why: 'this host must not ask ARP in the name of the VIP',
  },
  {
    name: 'rp_filter',
    wanted: 2,
    fits: (value) => value !== 1,
    why: 'clients of steered packets are reached by another way',
  },
]

/**
 * What a backend host needs to take steered packets, as LVS direct routing has it: the VIPs on `lo`, and ARP that is
 * silent about them. With `apply`, undo() takes back what was put in place; several agents on one host should have
 * `check`, and the host's own configuration the rest.
 */
export class HostSetup {
  readonly #options: HostSetupOptions
  readonly #addedVips: string[] = []
  readonly #changed: { readonly path: string; readonly before: string }[] = []

  constructor(options: HostSetupOptions) {
    this.#options = options
  }

  /** @throws BatonError BATON_AGENT_HOST_SETUP when `apply` could not put something in place */
  async apply(): Promise<void> {
    if (this.#options.mode === 'off') return
    for (const vip of this.#options.vips) await this.#vip(vip)
    for (const setting of settings) this.#setting(setting)
  }

  /** Takes back what apply() put in place, save VIPs with sockets still on them, and the ARP settings those need. */
  async undo(): Promise<void> {
    const { logger } = this.#options
    let left = 0
    for (const vip of this.#addedVips.splice(0)) {
      // Closed sockets still send their last bytes and their FIN.
      for (let turn = 0; inUse(vip) && turn < LAST_BYTES_TURNS; turn++) await sleep(LAST_BYTES_TURN_MS)
      if (inUse(vip)) {
        left++
        logger.warn({ vip }, 'the VIP stays on lo: connections still use it')
        continue
      }
      await run('ip', ['addr', 'del', cidr(vip), 'dev', 'lo'])
      logger.info({ vip }, 'VIP taken off lo')
    }
    for (const { path, before } of this.#changed.splice(0).reverse()) {
      if (left === 0) writeFileSync(path, before)
    }
  }

  async #vip(vip: string): Promise<void> {
    const { mode, logger } = this.#options
    if (await isLocal(vip)) return
    if (mode === 'check') {
      logger.warn({ vip }, `the VIP is not on this host: ip addr add ${cidr(vip)} dev lo`)
      return
    }
    try {
      await run('ip', ['addr', 'add', cidr(vip), 'dev', 'lo', ...(isIPv6(vip) ? ['nodad'] : [])])
    } catch (cause) {
      throw new BatonError('BATON_AGENT_HOST_SETUP', { detail: `ip addr add ${cidr(vip)} dev lo`, cause })
    }
    if (!(await isLocal(vip)))
      throw new BatonError('BATON_AGENT_HOST_SETUP', { detail: `${vip} is not there` })
    this.#addedVips.push(vip)
    logger.info({ vip }, 'VIP put on lo')
  }

  #setting(setting: Setting): void {
    const { mode, logger, vips } = this.#options
    const name = this.#options.interface
    if (name === null || !vips.some((vip) => isIPv4(vip))) return
    const path = (part: string) => `/proc/sys/net/ipv4/conf/${part}/${setting.name}`
    // The kernel takes the larger one of `all` and the interface (net/ipv4: IN_DEV_MAXCONF).
    const inForce = () => Math.max(readNumber(path('all')), readNumber(path(name)))
    if (setting.fits(inForce())) return
    const line = `net.ipv4.conf.${name}.${setting.name}=${setting.wanted}`
    if (mode === 'check') {
      logger.warn({ setting: line }, `${setting.why}: sysctl -w ${line}`)
      return
    }
    const before = readFileSync(path(name), 'utf8')
    try {
      writeFileSync(path(name), String(setting.wanted))
    } catch (cause) {
      throw new BatonError('BATON_AGENT_HOST_SETUP', { detail: line, cause })
    }
    if (!setting.fits(inForce())) throw new BatonError('BATON_AGENT_HOST_SETUP', { detail: line })
    this.#changed.push({ path: path(name), before })
    logger.info({ setting: line }, setting.why)
  }
}

function cidr(vip: string): string {
  return `${vip}/${isIPv4(vip) ? 32 : 128}`
}

function readNumber(path: string): number {
  return Number(readFileSync(path, 'utf8'))
}

/** Whether any interface of this host has the address. */
async function isLocal(vip: string): Promise<boolean> {
  const { stdout } = await run('ip', ['-o', 'addr', 'show', 'to', cidr(vip)])
  return stdout.trim() !== ''
}

/** Whether a TCP socket is bound to the address (TIME_WAIT, state 06, needs nobody). */
function inUse(vip: string): boolean {
  const bytes = addressBytes(vip)
  // proc_net_tcp(5): groups of four bytes, each as a number of this host's byte order.
  const words = (from: Buffer) =>
    Array.from({ length: from.length / 4 }, (_, index) =>
      from
        .readUInt32LE(index * 4)
        .toString(16)
        .padStart(8, '0'),
    )
      .join('')
      .toUpperCase()
  const ipv4 = isIPv4(vip)
  const wanted = ipv4 ? [words(bytes.subarray(12)), words(bytes)] : [words(bytes)]
  return ['/proc/thread-self/net/tcp', '/proc/thread-self/net/tcp6'].some((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .some((line) => {
        const [, local, , state] = line.trim().split(/\s+/)
        return (
          local !== undefined &&
          state !== '06' &&
          state !== '0A' &&
          wanted.includes(local.split(':')[0] ?? '')
        )
      }),
  )
}
