import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmdirSync, statfsSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { BatonError } from '../errors/index.js'
import { createTcxLink, lockDirectory, mountBpffs, updateLink } from '../kernel/attach.js'
import { BpfMap, loadObject, pinnedObject, pinObject, runProgram } from '../kernel/bpf.js'
import { attachSockOps, Ring, unifiedCgroup } from '../kernel/cgroup.js'
import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import { closeFd } from '../kernel/host.js'
import { packageRoot } from '../kernel/native.js'
import { Tap } from '../kernel/tap.js'
import { adoptionLayout } from './adopt-layout.js'

const bpffs = '/sys/fs/bpf'
/** BPF_FS_MAGIC, <linux/magic.h> */
const bpffsMagic = 0xcafe4a11
/** What the program `progress` returns for a flow that has no socket here. */
const NO_SOCKET = 0x7fffffff

/** The IPv4 dummy address (RFC 7600), for hosts with none. */
const DUMMY_ADDRESS = '192.0.0.8/32'

export const adoptObject = join(packageRoot, 'dist/bpf/adopt.bpf.o')

/** The programs of `adopt` at work: the device that segments are played into, and the map of what they may become. */
export interface AdoptPrograms {
  readonly map: BpfMap
  /** Plays frames in; they have been received when it returns. @returns how many the kernel took */
  play(frames: readonly Buffer[]): number
  /** Bytes that the flow's socket has taken since the sequence of the frame; undefined when there is no socket. */
  progress(frame: Buffer): number | undefined
  /** Takes the device away. @param forget also every pin: nothing adopted is left */
  close(forget: boolean): void
}

/** Why adoption cannot work here, as one sentence; undefined where nothing speaks against it. */
export function adoptObstacle(): string | undefined {
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)'
  if (unifiedCgroup() === undefined) return 'cgroup v2 is not mounted'
  if (syncookiesOff()) return 'net.ipv4.tcp_syncookies is 0'
  try {
    const fd = loadObject(adoptObject, { adoptions: { maxEntries: 1 } })
    for (const name of ['adoptions', 'endings', 'adopt', 'progress', 'ends']) closeFd(fd(name))
  } catch (error) {
    return `the kernel does not take the programs (Linux 6.8 or newer, CAP_BPF): ${text(error)}`
  }
  return undefined
}

/** Then the kernel would answer what is played in with RST. */
export function syncookiesOff(): boolean {
  return readFileSync('/proc/sys/net/ipv4/tcp_syncookies', 'utf8').trim() === '0'
}

/**
 * Loads the programs on the map that a previous process of this id left, or on a new one, and hangs them up. The map
 * and the program that notes the ends are pinned and outlive this process; the device does not.
 * @param onEnd an adopted connection has ended, and the map says how; where ends come too fast, only the map says so
 * @throws BatonError BATON_ADOPT_UNAVAILABLE, BATON_ADOPT_BUSY
 */
export function openAdoptPrograms(id: string, onEnd: (flow: FlowKey) => void): AdoptPrograms {
  const undo: (() => void)[] = []
  const release = () => {
    for (let step = undo.pop(); step; step = undo.pop()) step()
  }
  try {
    return open(id, onEnd, undo, release)
  } catch (cause) {
    release()
    if (cause instanceof BatonError) throw cause
    throw new BatonError('BATON_ADOPT_UNAVAILABLE', { detail: text(cause), cause })
  }
}

function open(
  id: string,
  onEnd: (flow: FlowKey) => void,
  undo: (() => void)[],
  release: () => void,
): AdoptPrograms {
  const cgroup = unifiedCgroup()
  if (cgroup === undefined) throw new Error('cgroup v2 is not mounted')
  if (syncookiesOff()) throw new Error('net.ipv4.tcp_syncookies is 0')
  if (statfsSync(bpffs).type !== bpffsMagic) mountBpffs(bpffs)
  // Hosts that are namespaces of one machine share bpffs: the namespace's number tells them apart.
  const folder = join(bpffs, `baton-adopt-${id}-${statSync('/proc/thread-self/ns/net').ino}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(folder)
  if (lock === undefined) throw new BatonError('BATON_ADOPT_BUSY', { detail: folder })
  undo.push(() => closeFd(lock))
  const pins = { map: join(folder, 'adoptions'), link: join(folder, 'link') }
  const left = leftMap(pins)
  const fd = loadObject(adoptObject, left === undefined ? {} : { adoptions: { fd: left } })
  if (left !== undefined) closeFd(left)
  for (const name of ['adoptions', 'endings', 'adopt', 'progress', 'ends']) undo.push(() => closeFd(fd(name)))
  const map = new BpfMap(fd('adoptions'))
  if (!existsSync(pins.map)) pinObject(map.fd, pins.map)
  // A name of 15 bytes that another agent on this host does not have.
  const mark = createHash('sha256').update(id).digest('hex').slice(0, 7)
  const tap = new Tap(`baton-ad${mark}`, { ipv6: true })
  undo.push(() => tap.close())
  // With an address the loose check of sources lets every client's by, whatever the host's setting for all is
  // (net/ipv4/fib_frontend.c); this one means nothing to anybody.
  execFileSync('ip', ['addr', 'add', DUMMY_ADDRESS, 'dev', tap.name, 'scope', 'host'], { stdio: 'pipe' })
  const playback = createTcxLink(fd('adopt'), tap.ifindex)
  undo.push(() => closeFd(playback))
  const ring = new Ring(fd('endings'), FLOW_KEY_BYTES, (record) => onEnd(Buffer.from(record)))
  undo.push(() => ring.close())
  const link = pinnedObject(pins.link)
  if (link === undefined) {
    const made = attachSockOps(fd('ends'), cgroup)
    undo.push(() => closeFd(made))
    pinObject(made, pins.link)
  } else {
    undo.push(() => closeFd(link))
    updateLink(link, fd('ends'))
  }
  return {
    map,
    play: (frames) => tap.write(frames),
    progress(frame) {
      const taken = runProgram(fd('progress'), frame, tap.ifindex).verdict
      return taken === NO_SOCKET ? undefined : taken
    },
    close(forget) {
      if (forget) removePins(folder, pins)
      release()
    },
  }
}

/** The map of a previous process, if this one can read it. One of another layout, or without its program, is given up. */
function leftMap(pins: { readonly map: string; readonly link: string }): number | undefined {
  const fd = pinnedObject(pins.map)
  if (fd === undefined) return undefined
  const { keyBytes, valueBytes } = new BpfMap(fd).info
  if (keyBytes === FLOW_KEY_BYTES && valueBytes === adoptionLayout.size && existsSync(pins.link)) return fd
  closeFd(fd)
  unlinkSync(pins.map)
  if (existsSync(pins.link)) unlinkSync(pins.link)
  return undefined
}

function removePins(folder: string, pins: { readonly map: string; readonly link: string }): void {
  for (const path of [pins.map, pins.link]) if (existsSync(path)) unlinkSync(path)
  rmdirSync(folder)
}

function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const log = 'log' in error && typeof error.log === 'string' ? `\n${error.log.slice(-800)}` : ''
  return `${error.message}${log}`
}
