import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { BatonError } from '../errors/index.js'
import { interfaceIndex, lockDirectory, mountBpffs, updateLink } from '../kernel/attach.js'
import { BpfMap, loadObject, pinnedObject, pinObject, runProgram } from '../kernel/bpf.js'
import { attachSockOps, Ring, unifiedCgroup } from '../kernel/cgroup.js'
import { FLOW_KEY_BYTES } from '../kernel/flow.js'
import { closeFd, mapMemory } from '../kernel/host.js'
import { packageRoot } from '../kernel/native.js'
import { adoptionLayout, endingLayout, offerLayout } from './adopt-layout.js'

const bpffs = '/sys/fs/bpf'
/** BPF_FS_MAGIC, <linux/magic.h> */
const bpffsMagic = 0xcafe4a11
/** What the program `progress` returns for a flow that has no socket here. */
const NO_SOCKET = 0x7fffffff

export const adoptObject = join(packageRoot, 'dist/bpf/adopt.bpf.o')
const parts = ['adoptions', 'offers', 'endings', 'adopt', 'progress', 'claim', 'ends'] as const

/** What tells how far a flow's socket is, and the interface as whose packet the flow's frame is looked at. */
export interface Progress {
  readonly program: number
  readonly ifindex: number
}

/** The verdict of such a look. */
export function takenOf(verdict: number): number | undefined {
  return verdict === NO_SOCKET ? undefined : verdict
}

/** The programs of `adopt` and their map: what outlives the process. */
export interface AdoptPrograms {
  readonly map: BpfMap
  /** What is on offer to the device's program, in shared memory that is pinned beside the map. */
  readonly offer: Buffer
  readonly looks: Progress
  /** The program for the device that segments are played into. */
  readonly playback: number
  /** Bytes that the flow's socket has taken since the sequence of the frame; undefined when there is no socket. */
  progress(frame: Buffer): number | undefined
  /** The payload of this frame of a flow is the frontend that is told of its end. False: the map does not have it. */
  claim(frame: Buffer): boolean
  /** @param forget also every pin: nothing adopted is left */
  close(forget: boolean): void
}

/** Why adoption cannot work here, as one sentence; undefined where nothing speaks against it. */
export function adoptObstacle(): string | undefined {
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)'
  if (unifiedCgroup() === undefined) return 'cgroup v2 is not mounted'
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun'
  if (syncookiesOff()) return 'net.ipv4.tcp_syncookies is 0'
  try {
    const fd = loadObject(adoptObject, { adoptions: { maxEntries: 1 } })
    for (const name of parts) closeFd(fd(name))
  } catch (error) {
    return `the kernel does not take the programs (Linux 6.8 or newer, CAP_BPF, CAP_PERFMON): ${text(error)}`
  }
  return undefined
}

/** Then the kernel would answer what is played in with RST. */
export function syncookiesOff(): boolean {
  return readFileSync('/proc/sys/net/ipv4/tcp_syncookies', 'utf8').trim() === '0'
}

/** Whether a process of this id left something here that it had adopted. */
export function leftAdoptions(id: string): boolean {
  return existsSync(pinsOf(id).map)
}

/** Ends of adopted connections: so many records of {@link endingLayout}, valid during the call. */
export type OnEndings = (records: Buffer, count: number) => void

/**
 * Loads the programs on the maps that a previous process of this id left, or on new ones, and hangs up the one that
 * notes births and ends. Maps and link are pinned and outlive this process.
 * @param onEndings where ends come too fast, only the map says so
 * @throws BatonError BATON_ADOPT_UNAVAILABLE, BATON_ADOPT_BUSY
 */
export function openAdoptPrograms(id: string, onEndings: OnEndings): AdoptPrograms {
  const undo: (() => void)[] = []
  try {
    return open(pinsOf(id), onEndings, undo)
  } catch (cause) {
    undoAll(undo)
    if (cause instanceof BatonError) throw cause
    throw new BatonError('BATON_ADOPT_UNAVAILABLE', { detail: text(cause), cause })
  }
}

interface Pins {
  readonly folder: string
  readonly map: string
  readonly offers: string
  readonly link: string
}

function pinsOf(id: string): Pins {
  // Hosts that are namespaces of one machine share bpffs: the namespace's number tells them apart.
  const folder = join(bpffs, `baton-adopt-${id}-${statSync('/proc/thread-self/ns/net').ino}`)
  const [map, offers, link] = ['adoptions', 'offers', 'link'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  return { folder, map, offers, link }
}

function open(pins: Pins, onEndings: OnEndings, undo: (() => void)[]): AdoptPrograms {
  const cgroup = unifiedCgroup()
  if (cgroup === undefined) throw new Error('cgroup v2 is not mounted')
  if (statfsSync(bpffs).type !== bpffsMagic) mountBpffs(bpffs)
  mkdirSync(pins.folder, { recursive: true, mode: 0o700 })
  const lock = lockDirectory(pins.folder)
  if (lock === undefined) throw new BatonError('BATON_ADOPT_BUSY', { detail: pins.folder })
  undo.push(() => closeFd(lock))
  const left = leftMaps(pins)
  const fd = loadObject(adoptObject, left)
  for (const map of Object.values(left)) closeFd(map.fd)
  for (const name of parts) undo.push(() => closeFd(fd(name)))
  const map = new BpfMap(fd('adoptions'))
  if (!existsSync(pins.map)) pinObject(map.fd, pins.map)
  if (!existsSync(pins.offers)) pinObject(fd('offers'), pins.offers)
  const offer = mapMemory(fd('offers'), offerLayout.size)
  const ring = new Ring(fd('endings'), endingLayout.size, onEndings)
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
  // Sockets are looked up as for a packet of this device: not those that are bound to another.
  const loopback = interfaceIndex('lo') ?? 0
  return {
    map,
    offer,
    looks: { program: fd('progress'), ifindex: loopback },
    playback: fd('adopt'),
    progress: (frame) => takenOf(runProgram(fd('progress'), frame, loopback).verdict),
    claim: (frame) => runProgram(fd('claim'), frame, loopback).verdict === 1,
    close(forget) {
      // Whatever has become of it: somebody may have removed it by hand.
      if (forget) rmSync(pins.folder, { recursive: true, force: true })
      undoAll(undo)
    },
  }
}

function undoAll(undo: (() => void)[]): void {
  for (let step = undo.pop(); step; step = undo.pop()) step()
}

/**
 * The maps of a previous process, if this one can read them. What is of another layout, or without its program, is given
 * up.
 */
function leftMaps(pins: Pins): Record<string, { readonly fd: number }> {
  const books = pinnedObject(pins.map)
  if (books === undefined) return {}
  if (!isLike(books, FLOW_KEY_BYTES, adoptionLayout.size) || !existsSync(pins.link)) {
    closeFd(books)
    for (const path of [pins.map, pins.offers, pins.link]) rmSync(path, { force: true })
    return {}
  }
  const offers = pinnedObject(pins.offers)
  if (offers === undefined) return { adoptions: { fd: books } }
  if (isLike(offers, 4, offerLayout.size)) return { adoptions: { fd: books }, offers: { fd: offers } }
  closeFd(offers)
  unlinkSync(pins.offers)
  return { adoptions: { fd: books } }
}

function isLike(map: number, keySize: number, valueSize: number): boolean {
  const { keyBytes, valueBytes } = new BpfMap(map).info
  return keyBytes === keySize && valueBytes === valueSize
}

function text(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const log = 'log' in error && typeof error.log === 'string' ? `\n${error.log.slice(-800)}` : ''
  return `${error.message}${log}`
}
