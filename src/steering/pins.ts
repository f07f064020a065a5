import { existsSync, mkdirSync, readdirSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { BatonError } from '../errors/index.js'
import { lockDirectory, mountBpffs } from '../kernel/attach.js'
import { BpfMap, loadObject, pinnedObject, pinObject } from '../kernel/bpf.js'
import { closeFd } from '../kernel/host.js'
import { packageRoot } from '../kernel/native.js'
import { kernelFailure, orFail } from './failure.js'
import { flowKeyLayout, flowValueLayout, settingsLayout, totalsLayout } from './layout.js'
import { readSettings, type Settings } from './settings.js'
import type { SteeringLogger } from './types.js'

const bpffs = '/sys/fs/bpf'
/** BPF_FS_MAGIC, <linux/magic.h> */
const bpffsMagic = 0xcafe4a11
const mapNames = ['flows', 'settings', 'totals'] as const
type MapName = (typeof mapNames)[number]

/** The compiled program. */
export const steeringObject = join(packageRoot, 'dist/bpf/steering.bpf.o')

/** Value size of each map; keys are checked for the flows only, the others' are array indices. */
const valueBytes: Record<MapName, number> = {
  flows: flowValueLayout.size,
  settings: settingsLayout.size,
  totals: totalsLayout.size,
}

/** The descriptors of one loaded steering program. */
export interface Loaded {
  readonly steer: number
  readonly playback: number
  readonly maps: Readonly<Record<MapName, BpfMap>>
  /** Not pinned, as the next: each process fills its own. */
  readonly listeners: BpfMap
  readonly parked: BpfMap
  /** Whether the maps are those of a previous process. */
  readonly takenOver: boolean
  /** What a previous process left, even where its maps were given up. */
  readonly before: Settings | undefined
}

export const linkPin = (pinPath: string): string => join(pinPath, 'link')

/** Makes the pin directory and locks it for this process. @returns the lock's descriptor */
export function lockPins(pinPath: string, logger: SteeringLogger | undefined): number {
  if (pinPath.startsWith(`${bpffs}/`) && !isBpffs(bpffs)) {
    orFail('BATON_STEERING_BPFFS', bpffs, () => mountBpffs(bpffs))
    logger?.info({ path: bpffs }, 'mounted bpffs')
  }
  orFail('BATON_STEERING_BPFFS', undefined, () => mkdirSync(pinPath, { recursive: true, mode: 0o700 }))
  if (!isBpffs(pinPath)) {
    throw new BatonError('BATON_STEERING_BPFFS', { detail: `${pinPath} is not on bpffs` })
  }
  const lock = orFail('BATON_STEERING_BPFFS', pinPath, () => lockDirectory(pinPath))
  if (lock === undefined) throw new BatonError('BATON_STEERING_BUSY', { detail: pinPath })
  return lock
}

function isBpffs(path: string): boolean {
  return orFail('BATON_STEERING_BPFFS', path, () => statfsSync(path).type === bpffsMagic)
}

/** Loads the program on the pinned maps, or on new ones, which it pins. */
export function loadPinned(pinPath: string, maxFlows: number, logger: SteeringLogger | undefined): Loaded {
  const { maps: pinned, before } = openPinned(pinPath, maxFlows, logger)
  try {
    const fd = orFail('BATON_STEERING_LOAD', undefined, () =>
      loadObject(
        steeringObject,
        pinned
          ? {
              flows: { fd: pinned.flows.fd },
              settings: { fd: pinned.settings.fd },
              totals: { fd: pinned.totals.fd },
            }
          : { flows: { maxEntries: maxFlows } },
      ),
    )
    const maps = mapsOf(fd)
    if (!pinned) {
      for (const name of mapNames) {
        orFail('BATON_STEERING_BPFFS', name, () => pinObject(maps[name].fd, join(pinPath, name)))
      }
    }
    return {
      steer: fd('steer'),
      playback: fd('playback'),
      maps,
      listeners: new BpfMap(fd('listeners')),
      parked: new BpfMap(fd('parked')),
      takenOver: pinned !== undefined,
      before,
    }
  } finally {
    if (pinned) for (const name of mapNames) closeFd(pinned[name].fd)
  }
}

function mapsOf(fd: (name: string) => number): Record<MapName, BpfMap> {
  return {
    flows: new BpfMap(fd('flows')),
    settings: new BpfMap(fd('settings')),
    totals: new BpfMap(fd('totals')),
  }
}

interface Pinned {
  readonly maps: Record<MapName, BpfMap> | undefined
  readonly before: Settings | undefined
}

/** The maps of a previous process if they fit; undefined where there are none, or none that hold a flow. */
function openPinned(pinPath: string, maxFlows: number, logger: SteeringLogger | undefined): Pinned {
  const found = new Map<MapName, BpfMap>()
  for (const name of mapNames) {
    const fd = orFail('BATON_STEERING_BPFFS', name, () => pinnedObject(join(pinPath, name)))
    if (fd !== undefined) found.set(name, new BpfMap(fd))
  }
  const flows = found.get('flows')
  const settings = found.get('settings')
  const totals = found.get('totals')
  const misfit = misfits(found)
  const before = settings && misfit === undefined ? readSettings(settings) : undefined
  if (flows && settings && totals && misfit === undefined) {
    const size = flows.info.maxEntries
    if (size === maxFlows || !isEmpty(flows)) {
      if (size !== maxFlows)
        logger?.warn({ maxFlows: size, wanted: maxFlows }, 'the flow table keeps its size')
      return { maps: { flows, settings, totals }, before }
    }
  }
  const lost = flows !== undefined && misfit !== undefined && !isEmpty(flows)
  for (const map of found.values()) closeFd(map.fd)
  if (lost) throw new BatonError('BATON_STEERING_LAYOUT', { detail: `${pinPath}: ${misfit}` })
  for (const name of found.keys()) unlinkSync(join(pinPath, name))
  return { maps: undefined, before }
}

/** What does not fit, if anything. */
function misfits(found: ReadonlyMap<MapName, BpfMap>): string | undefined {
  for (const name of mapNames) {
    const map = found.get(name)
    if (!map) return `${name} is missing`
    if (map.info.valueBytes !== valueBytes[name]) return `${name} has values of ${map.info.valueBytes} bytes`
    const keyBytes = name === 'flows' ? flowKeyLayout.size : 4
    if (map.info.keyBytes !== keyBytes) return `${name} has keys of ${map.info.keyBytes} bytes`
  }
  try {
    const settings = found.get('settings')
    if (settings) readSettings(settings)
    return undefined
  } catch (error) {
    if (error instanceof RangeError) return error.message
    throw kernelFailure('BATON_STEERING_TABLE', error, 'settings')
  }
}

function isEmpty(flows: BpfMap): boolean {
  for (const chunk of flows.chunks()) if (chunk.count > 0) return false
  return true
}

/** After an opening that failed: takes away what it made, and leaves what it found. */
export function abandonPins(pinPath: string, madeMaps: boolean): void {
  if (madeMaps) removePins(pinPath)
  else if (readdirSync(pinPath).length === 0) rmdirSync(pinPath)
}

/** Takes every pin away, and the directory. */
export function removePins(pinPath: string): void {
  for (const name of [...mapNames, 'link']) {
    const path = join(pinPath, name)
    if (existsSync(path)) unlinkSync(path)
  }
  rmdirSync(pinPath)
}
