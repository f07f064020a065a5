import { existsSync } from 'node:fs'
import { BatonError } from '../errors/index.js'
import { disposeAtExit, disposed, killInside, removeNamespaces } from './cleanup.js'
import { ipBatch } from './command.js'
import { addressLine, Host, type Sysctls } from './host.js'
import { Link, type LinkEnd, makeLinks } from './link.js'
import { checkHostName, checkInterfaceName, labName } from './names.js'

export interface LabOptions {
  /** `bt` and lower-case letters, for example `btgate`; namespaces are called `<prefix><pid>-<host>`. */
  readonly prefix: string
  /** False makes every TCP segment its own frame on the links (slower, but loss and counters are by segment). Default true. */
  readonly superFrames?: boolean
  /**
   * Keeps the frames of a link in order, as a real cable does: one CPU receives them. Without it a veth's frames take
   * the CPU of whoever sent them and overtake each other, which TCP answers with retransmissions. Needs Linux 6.3;
   * no effect before. Default true.
   */
  readonly inOrder?: boolean
}

/** One end of a link to be made. */
export interface LinkEndPlan {
  readonly host: Host
  /** Default `eth0`. */
  readonly iface?: string
  /** With prefix lengths, IPv4 or IPv6. */
  readonly addresses?: readonly string[]
}

export interface LinkPlan {
  readonly near: LinkEndPlan
  readonly far: LinkEndPlan
}

/** Defaults for every host: no address checks that cost seconds, no surprise from the machine's own settings. */
const hostSysctls = {
  'net.ipv6.conf.all.disable_ipv6': 0,
  'net.ipv6.conf.default.disable_ipv6': 0,
  'net.ipv6.conf.all.accept_dad': 0,
  'net.ipv6.conf.default.accept_dad': 0,
  'net.ipv6.conf.default.accept_ra': 0,
  'net.ipv4.conf.all.rp_filter': 0,
  'net.ipv4.conf.default.rp_filter': 0,
  'net.ipv4.conf.all.send_redirects': 0,
  'net.ipv4.conf.default.send_redirects': 0,
}

/** Hosts on one machine: network namespaces and the veth cables between them. Needs root. */
export class Lab {
  readonly name: string
  readonly #hosts = new Map<string, Host>()
  readonly #superFrames: boolean
  readonly #inOrder: boolean
  #state: 'open' | 'disposed' = 'open'

  private constructor(options: LabOptions) {
    this.name = labName(options.prefix)
    this.#superFrames = options.superFrames ?? true
    this.#inOrder = (options.inOrder ?? true) && existsSync('/proc/sys/net/core/rps_default_mask')
  }

  /** An empty lab, which goes away with dispose() or, at the latest, with this process. @throws BatonError BATON_LAB_NAME */
  static create(options: LabOptions): Lab {
    const lab = new Lab(options)
    disposeAtExit(lab)
    return lab
  }

  get hosts(): ReadonlyMap<string, Host> {
    return this.#hosts
  }

  /** The host of that name, made (with lo up) if it is not there. @throws BatonError BATON_LAB_NAME, BATON_LAB_COMMAND */
  host(name: string): Host {
    return this.#hosts.get(name) ?? this.addHosts([name])[0]!
  }

  /** Makes several hosts at once. @throws BatonError BATON_LAB_NAME, BATON_LAB_COMMAND */
  addHosts(names: readonly string[]): Host[] {
    this.#open()
    const made = names.map((name) => {
      checkHostName(name)
      if (this.#hosts.has(name))
        throw new BatonError('BATON_LAB_NAME', { detail: `"${name}" is there already` })
      const host = new Host(name, `${this.name}-${name}`)
      this.#hosts.set(name, host)
      return host
    })
    ipBatch(made.map((host) => `netns add ${host.namespace}`))
    const ordered: Sysctls = this.#inOrder ? { 'net.core.rps_default_mask': 1 } : {}
    for (const host of made) host.setSysctls({ ...hostSysctls, ...ordered })
    for (const host of made) host.ip(['link set lo up'])
    return made
  }

  /** A cable between two hosts, both ends up. @throws BatonError BATON_LAB_NAME, BATON_LAB_COMMAND */
  link(near: LinkEndPlan, far: LinkEndPlan): Link {
    return this.links([{ near, far }])[0]!
  }

  /** Several cables at once: one batch for the cables, one for each host. */
  links(plans: readonly LinkPlan[]): Link[] {
    this.#open()
    const end = (plan: LinkEndPlan): LinkEnd => ({ host: plan.host, iface: plan.iface ?? 'eth0' })
    const links = plans.map((plan) => new Link(end(plan.near), end(plan.far)))
    for (const link of links) {
      checkInterfaceName(link.near.iface)
      checkInterfaceName(link.far.iface)
    }
    makeLinks(links)
    const lines = new Map<Host, string[]>()
    for (const plan of plans.flatMap(({ near, far }) => [near, far])) {
      const { host, iface } = end(plan)
      const own = lines.get(host) ?? []
      lines.set(host, own)
      const segments = this.#superFrames ? '' : ' gso_max_segs 1'
      own.push(`link set ${iface} up${segments}`)
      for (const address of plan.addresses ?? []) {
        own.push(addressLine(iface, address))
        host.noteAddress(iface, address)
      }
    }
    for (const [host, own] of lines) host.ip(own)
    return links
  }

  /** Ends every program (SIGTERM, then SIGKILL by pid) and removes every namespace. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#state === 'open') {
      const programs = [...this.#hosts.values()].flatMap((host) => [...host.processes])
      await Promise.all(programs.map((program) => program.stop(1_000)))
    }
    this.disposeNow()
  }

  /** The same at once, with SIGKILL, and synchronously: for the end of the process. Idempotent. */
  disposeNow(): void {
    if (this.#state === 'disposed') return
    const hosts = [...this.#hosts.values()]
    for (const host of hosts) {
      host.retire()
      for (const program of host.processes) program.kill('SIGKILL')
    }
    const namespaces = hosts.map((host) => host.namespace)
    killInside(namespaces)
    removeNamespaces(namespaces)
    this.#state = 'disposed'
    disposed(this)
  }

  #open(): void {
    if (this.#state === 'disposed') throw new BatonError('BATON_LAB_DISPOSED', { detail: this.name })
  }
}
