import { readFileSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:net'
import { BatonError } from '../errors/index.js'
import { inNetns } from '../kernel/host.js'
import { ipBatch, netnsFolder, runNow } from './command.js'
import { type InterfaceCounters, parseNetDev, parseSnmp } from './counters.js'
import { type ExecOptions, type ExecResult, execInside } from './exec.js'
import { LabProcess, type SpawnOptions } from './process.js'
import { listeningPorts, parseSockets, type SocketRow } from './sockets.js'

/** `name: value` below /proc/sys, with dots: `net.ipv4.ip_forward`. An interface's dots are written as slashes. */
export type Sysctls = Readonly<Record<string, string | number>>

/** One host of the lab: a network namespace with its own stack, addresses and counters. */
export class Host {
  readonly name: string
  /** Of the namespace, as `ip netns` lists it. */
  readonly namespace: string
  /** Path of the namespace, for `nsenter --net=` and inNetns. */
  readonly path: string
  readonly #addresses = new Map<string, string[]>()
  readonly #processes = new Set<LabProcess>()
  #gone = false

  /** Use lab.host(). */
  constructor(name: string, namespace: string) {
    this.name = name
    this.namespace = namespace
    this.path = `${netnsFolder}/${namespace}`
  }

  /** Addresses with their prefix lengths, by interface, as given by the lab. */
  get addresses(): ReadonlyMap<string, readonly string[]> {
    return this.#addresses
  }

  /** The first IPv4 address of eth0, without prefix length. @throws BatonError BATON_LAB_NAME when there is none */
  get ipv4(): string {
    return this.#first((address) => !address.includes(':'))
  }

  /** The first IPv6 address of eth0, without prefix length. @throws BatonError BATON_LAB_NAME when there is none */
  get ipv6(): string {
    return this.#first((address) => address.includes(':'))
  }

  #first(wanted: (address: string) => boolean): string {
    const address = this.#addresses.get('eth0')?.find(wanted)
    if (address === undefined)
      throw new BatonError('BATON_LAB_NAME', { detail: `${this.name} has no such address` })
    return address.replace(/\/.*/, '')
  }

  /** Notes an address that was given by {@link ip}; lab and topology keep this. */
  noteAddress(iface: string, address: string): void {
    this.#addresses.set(iface, [...(this.#addresses.get(iface) ?? []), address])
  }

  forgetAddress(iface: string, address: string): void {
    const left = (this.#addresses.get(iface) ?? []).filter((other) => other !== address)
    this.#addresses.set(iface, left)
  }

  /** Lines of `ip -batch`, run here: `addr add 10.0.0.1/24 dev eth0`. @throws BatonError BATON_LAB_COMMAND */
  ip(lines: readonly string[]): void {
    this.#present()
    ipBatch(lines, this.namespace)
  }

  /** Adds an address (IPv6 without duplicate address detection). @throws BatonError BATON_LAB_COMMAND */
  addAddress(iface: string, address: string): void {
    this.ip([addressLine(iface, address)])
    this.noteAddress(iface, address)
  }

  deleteAddress(iface: string, address: string): void {
    this.ip([`addr del ${address} dev ${iface}`])
    this.forgetAddress(iface, address)
  }

  /**
   * Runs `fn` synchronously in this host's namespace; sockets made inside stay there. Only what happens before it
   * returns is inside: `server.listen(port)` without an address is, `listen(port, address)` and `net.connect` are not,
   * since Node does those in a later tick. See {@link listen}.
   */
  inside<T>(fn: () => T): T {
    this.#present()
    return inNetns(this.path, fn)
  }

  /** Has a server of this process listen here, on every address of the host. Resolves when it does. 0: any port. */
  listen(server: Server, port = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.once('listening', () => {
        server.off('error', reject)
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : 0)
      })
      this.inside(() => server.listen(port))
    })
  }

  /** Runs a program to its end; a non-zero exit code is a result, not an error. @throws BatonError BATON_LAB_COMMAND */
  async exec(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<ExecResult> {
    this.#present()
    return execInside(this.namespace, command, args, options)
  }

  /** As {@link exec}, for programs that must succeed: returns stdout. @throws BatonError BATON_LAB_COMMAND */
  async run(command: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<string> {
    const done = await this.exec(command, args, options)
    if (done.code === 0) return done.stdout
    const how = done.timedOut ? 'timed out' : `exit ${done.code ?? done.signal}`
    const detail = `${command} ${args.join(' ')} on ${this.name}: ${how}\n${done.stderr}`
    throw new BatonError('BATON_LAB_COMMAND', { detail, step: command })
  }

  /** Starts a long-running program; the lab ends it. @throws BatonError BATON_LAB_COMMAND */
  spawn(command: string, args: readonly string[] = [], options: SpawnOptions = {}): LabProcess {
    this.#present()
    const started = new LabProcess(this, command, args, options)
    this.#processes.add(started)
    void started.exited.then(() => this.#processes.delete(started))
    return started
  }

  /** Programs started by {@link spawn} that have not ended. */
  get processes(): ReadonlySet<LabProcess> {
    return this.#processes
  }

  /** @throws BatonError BATON_LAB_NAME when there is no such interface */
  counters(iface = 'eth0'): InterfaceCounters {
    const counters = parseNetDev(this.#read('/proc/thread-self/net/dev'), iface)
    if (counters === undefined)
      throw new BatonError('BATON_LAB_NAME', { detail: `${this.name} has no ${iface}` })
    return counters
  }

  /** Every counter of /proc/net/snmp and netstat: `Tcp.RetransSegs`, `Tcp.OutRsts`, `TcpExt.TCPTimeouts` … */
  snmp(): Record<string, number> {
    const read = (name: string) => parseSnmp(this.#read(`/proc/thread-self/net/${name}`))
    return { ...read('snmp'), ...read('netstat') }
  }

  /** The link-layer address of an interface. */
  mac(iface = 'eth0'): string {
    const link = runNow('nsenter', [`--net=${this.path}`, 'ip', '-o', 'link', 'show', 'dev', iface])
    const mac = / link\/ether ([0-9a-f:]{17}) /.exec(link)?.[1]
    if (mac === undefined)
      throw new BatonError('BATON_LAB_NAME', { detail: `${iface} has no link-layer address` })
    return mac
  }

  /** The link-layer address by which this host reaches a neighbour; undefined while it knows none. */
  neighbour(address: string, iface = 'eth0'): string | undefined {
    const words = ['neigh', 'show', 'to', address, 'dev', iface]
    const entry = runNow('nsenter', [`--net=${this.path}`, 'ip', ...words])
    return / ?lladdr ([0-9a-f:]{17}) /.exec(entry)?.[1]
  }

  /** TCP sockets of the host, all states. @param filter ss's filter, for example `sport = :80` */
  async sockets(filter = ''): Promise<SocketRow[]> {
    return parseSockets(await this.run('ss', ['-HtanOi', ...(filter === '' ? [] : [filter])]))
  }

  /** Whether some TCP socket listens on the port. */
  isListening(port: number): boolean {
    const listens = (name: string) => listeningPorts(this.#read(`/proc/thread-self/net/${name}`)).has(port)
    return listens('tcp') || listens('tcp6')
  }

  /** Sets values below /proc/sys of this namespace. */
  setSysctls(values: Sysctls): void {
    this.inside(() => {
      for (const [name, value] of Object.entries(values)) writeFileSync(sysctlPath(name), String(value))
    })
  }

  sysctl(name: string): string {
    return this.#read(sysctlPath(name)).trim()
  }

  #read(path: string): string {
    return this.inside(() => readFileSync(path, 'utf8'))
  }

  #present(): void {
    if (this.#gone) throw new BatonError('BATON_LAB_DISPOSED', { detail: this.name })
  }

  /** For the lab: nothing may enter the namespace from now on. */
  retire(): void {
    this.#gone = true
  }
}

/** The line of `ip -batch` that gives an address. Virtual /128 ones are never chosen as a source by themselves. */
export function addressLine(iface: string, address: string): string {
  const options = address.includes(':') ? ` nodad${address.endsWith('/128') ? ' preferred_lft 0' : ''}` : ''
  return `addr add ${address} dev ${iface}${options}`
}

/** `net.ipv4.conf.eth0.rp_filter` → /proc/sys/net/ipv4/conf/eth0/rp_filter; a slash stands for a dot in a name. */
function sysctlPath(name: string): string {
  return `/proc/sys/${name.replace(/[./]/g, (character) => (character === '.' ? '/' : '.'))}`
}
