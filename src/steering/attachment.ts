import { existsSync, unlinkSync } from 'node:fs'
import {
  attachFilter,
  createClsact,
  createTcxLink,
  destroyClsact,
  detachFilter,
  detachLink,
  type FilterPlace,
  linkInfo,
  updateLink,
} from '../kernel/attach.js'
import { pinnedObject, pinObject } from '../kernel/bpf.js'
import { closeFd } from '../kernel/host.js'
import { kernelFailure, orFail } from './failure.js'
import type { AttachKind, Settings } from './settings.js'

/** Ours among the filters of the hook; low priorities run first. */
const place: FilterPlace = { handle: 1, priority: 2983 }
const einval = 22
const enodev = 19

/** How the program hangs at the interface. It stays there without this process. */
export type Attachment =
  | { readonly kind: 'tcx'; readonly link: number }
  | { readonly kind: 'clsact'; readonly ifindex: number; readonly ownsQdisc: boolean }

/**
 * Puts the program in the place of a previous process's, so that every packet meets one of the two; else at a new one.
 * @param before the settings that the previous process left
 */
export function attachSteering(
  program: number,
  ifindex: number,
  want: 'auto' | AttachKind,
  pin: string,
  before: Settings | undefined,
): Attachment {
  const attached = attach(program, ifindex, want, pin, before)
  if (attached.kind === 'clsact') removeLink(pin)
  if (before?.attach === 'clsact' && (attached.kind === 'tcx' || before.interfaceIfindex !== ifindex)) {
    removeFilter(before.interfaceIfindex, before.ownsQdisc)
  }
  return attached
}

function attach(
  program: number,
  ifindex: number,
  want: 'auto' | AttachKind,
  pin: string,
  before: Settings | undefined,
): Attachment {
  if (want !== 'clsact') {
    try {
      return { kind: 'tcx', link: attachTcx(program, ifindex, pin) }
    } catch (cause) {
      const unsupported = cause instanceof Error && 'errno' in cause && cause.errno === einval
      if (want === 'tcx' || !unsupported) throw kernelFailure('BATON_STEERING_ATTACH', cause, 'TCX')
    }
  }
  return orFail('BATON_STEERING_ATTACH', 'clsact', () => {
    const made = createClsact(ifindex)
    attachFilter(ifindex, program, place)
    const kept = before?.attach === 'clsact' && before.interfaceIfindex === ifindex && before.ownsQdisc
    return { kind: 'clsact', ifindex, ownsQdisc: made || kept }
  })
}

function attachTcx(program: number, ifindex: number, pin: string): number {
  const pinned = pinnedObject(pin)
  if (pinned !== undefined) {
    if (linkInfo(pinned).ifindex === ifindex) {
      updateLink(pinned, program)
      return pinned
    }
    closeFd(pinned)
  }
  const link = createTcxLink(program, ifindex)
  try {
    removeLink(pin)
    pinObject(link, pin)
    return link
  } catch (error) {
    closeFd(link)
    throw error
  }
}

/** The parking TAP's ingress. @returns the descriptor that keeps it there, if any: the TAP's end is its end too */
export function attachPlayback(program: number, tapIfindex: number, kind: AttachKind): number | undefined {
  return orFail('BATON_STEERING_ATTACH', 'the TAP', () => {
    if (kind === 'tcx') return createTcxLink(program, tapIfindex)
    createClsact(tapIfindex)
    attachFilter(tapIfindex, program, place)
    return undefined
  })
}

/** Takes the program off. Its pin, if any, goes too. */
export function detachSteering(attached: Attachment, pin: string): void {
  switch (attached.kind) {
    case 'tcx':
      removeLink(pin)
      return
    case 'clsact':
      removeFilter(attached.ifindex, attached.ownsQdisc)
      return
    default:
      attached satisfies never
  }
}

function removeLink(pin: string): void {
  const link = pinnedObject(pin)
  if (link === undefined) return
  try {
    if (linkInfo(link).ifindex !== 0) detachLink(link)
  } finally {
    closeFd(link)
  }
  if (existsSync(pin)) unlinkSync(pin)
}

function removeFilter(ifindex: number, ownsQdisc: boolean): void {
  try {
    if (ownsQdisc) destroyClsact(ifindex)
    else detachFilter(ifindex, place)
  } catch (error) {
    // The interface may be gone, and took the filter along.
    if (!(error instanceof Error && 'errno' in error && error.errno === enodev)) throw error
  }
}
