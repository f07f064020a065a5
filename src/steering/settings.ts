import type { BpfMap } from '../kernel/bpf.js'
import { layoutVersion, settingsLayout } from './layout.js'

const at = settingsLayout.offsets
const attachNumbers = { tcx: 1, clsact: 2 } as const

export type AttachKind = keyof typeof attachNumbers

/** The one entry of the settings map: what the program needs to know, and notes for the next process. */
export interface Settings {
  readonly tapIfindex: number
  readonly interfaceIfindex: number
  /** Undefined: nothing was attached yet. */
  readonly attach: AttachKind | undefined
  /** Whether the clsact qdisc is ours to remove. */
  readonly ownsQdisc: boolean
  /** Whether segments of flows that nobody here knows wait in the process. */
  readonly parkUnknown: boolean
}

const zero = Buffer.alloc(4)

/** Undefined for a map that was never written. @throws RangeError when another version wrote it */
export function readSettings(map: BpfMap): Settings | undefined {
  const value = Buffer.alloc(settingsLayout.size)
  map.get(zero, value)
  const version = value.readUInt32LE(at.version)
  if (version === 0) return undefined
  if (version !== layoutVersion) throw new RangeError(`layout version ${version}, not ${layoutVersion}`)
  const attach = value.readUInt32LE(at.attach)
  return {
    tapIfindex: value.readUInt32LE(at.tap_ifindex),
    interfaceIfindex: value.readUInt32LE(at.interface_ifindex),
    attach: attach === attachNumbers.tcx ? 'tcx' : attach === attachNumbers.clsact ? 'clsact' : undefined,
    ownsQdisc: value.readUInt32LE(at.owns_qdisc) === 1,
    parkUnknown: value.readUInt32LE(at.park_unknown) === 1,
  }
}

export function writeSettings(map: BpfMap, settings: Settings): void {
  const value = Buffer.alloc(settingsLayout.size)
  value.writeUInt32LE(layoutVersion, at.version)
  value.writeUInt32LE(settings.tapIfindex, at.tap_ifindex)
  value.writeUInt32LE(settings.interfaceIfindex, at.interface_ifindex)
  value.writeUInt32LE(settings.attach ? attachNumbers[settings.attach] : 0, at.attach)
  value.writeUInt32LE(settings.ownsQdisc ? 1 : 0, at.owns_qdisc)
  value.writeUInt32LE(settings.parkUnknown ? 1 : 0, at.park_unknown)
  map.set(zero, value)
}
