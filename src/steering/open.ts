import { constants } from 'node:os'
import { BatonError, isBatonError } from '../errors/index.js'
import { interfaceIndex } from '../kernel/attach.js'
import { closeFd } from '../kernel/host.js'
import { Tap } from '../kernel/tap.js'
import { attachPlayback, attachSteering, detachSteering } from './attachment.js'
import { orFail } from './failure.js'
import { FlowCount } from './flow-count.js'
import { writeListeners } from './listeners.js'
import { abandonPins, linkPin, loadPinned, lockPins, removePins } from './pins.js'
import { writeSettings } from './settings.js'
import { OpenSteering } from './steering.js'
import type { Steering, SteeringOptions } from './types.js'

/**
 * Opens the flow table of an interface of this thread's network namespace: takes over what a previous process left
 * pinned, or makes it anew. The program runs from then on until detach(), with or without this process. Needs CAP_BPF,
 * CAP_NET_ADMIN, and CAP_SYS_ADMIN where bpffs has to be mounted.
 * @throws BatonError `BATON_STEERING_INTERFACE`, `_DENIED`, `_BPFFS`, `_BUSY`, `_LAYOUT`, `_LOAD`, `_TAP`, `_ATTACH`: then what was
 * pinned goes on as before
 */
export function openSteering(options: SteeringOptions): Steering {
  const { pinPath, logger, lingerMs = 60_000, maxFlows = 1 << 20 } = options
  const ifindex = interfaceIndex(options.interface)
  if (ifindex === undefined) throw new BatonError('BATON_STEERING_INTERFACE', { detail: options.interface })
  const undo: (() => void)[] = []
  const release = () => {
    for (let step = undo.pop(); step; step = undo.pop()) step()
  }
  try {
    const lock = lockPins(pinPath, logger)
    undo.push(() => closeFd(lock))
    let madeMaps = false
    let opened = false
    undo.push(() => {
      if (!opened) abandonPins(pinPath, madeMaps)
    })
    const loaded = loadPinned(pinPath, maxFlows, logger)
    madeMaps = !loaded.takenOver
    const { flows, settings, totals } = loaded.maps
    const { listeners, parked, before } = loaded
    const maps = [flows, settings, totals, listeners, parked]
    for (const fd of [loaded.steer, loaded.playback, ...maps.map((map) => map.fd)]) {
      undo.push(() => closeFd(fd))
    }
    const tap = orFail('BATON_STEERING_TAP', undefined, () => new Tap(`baton-tap${ifindex}`))
    undo.push(() => tap.close())
    const flowCount = new FlowCount(flows, logger)
    undo.push(() => flowCount.close())
    writeListeners(listeners, options.listeners ?? [])
    const parkUnknown = options.unknown === 'park'
    const now = { tapIfindex: tap.ifindex, interfaceIfindex: ifindex, parkUnknown }
    // The program that runs by now parks into the new TAP from here on; it keeps the notes on where it hangs.
    writeSettings(settings, {
      ...now,
      attach: before?.attach,
      ownsQdisc: before?.ownsQdisc ?? false,
      ...(before?.attach === 'clsact' ? { interfaceIfindex: before.interfaceIfindex } : {}),
    })
    const pin = linkPin(pinPath)
    const attached = attachSteering(loaded.steer, ifindex, options.attach ?? 'auto', pin, before)
    writeSettings(settings, {
      ...now,
      attach: attached.kind,
      ownsQdisc: attached.kind === 'clsact' && attached.ownsQdisc,
    })
    if (attached.kind === 'tcx') undo.push(() => closeFd(attached.link))
    const playback = attachPlayback(loaded.playback, tap.ifindex, attached.kind)
    if (playback !== undefined) undo.push(() => closeFd(playback))
    logger?.info(
      { interface: options.interface, attach: attached.kind, takenOver: loaded.takenOver },
      'steering is on',
    )
    opened = true
    return new OpenSteering({
      attached: attached.kind,
      flows,
      totals,
      listeners,
      parked,
      flowCount,
      tap,
      logger,
      lingerMs,
      limits: options.limits,
      onUnknown: parkUnknown ? (options.onUnknown ?? (() => undefined)) : undefined,
      release,
      remove: () => {
        detachSteering(attached, pin)
        removePins(pinPath)
      },
    })
  } catch (error) {
    release()
    throw denied(error) ?? error
  }
}

/** Whatever step it is that lacks the right: that is what the operator has to know. */
function denied(error: unknown): BatonError | undefined {
  if (!isBatonError(error) || error.errno === undefined) return undefined
  const { EPERM, EACCES } = constants.errno
  // Node's own calls give it negative.
  if (![EPERM, EACCES].includes(Math.abs(error.errno))) return undefined
  return new BatonError('BATON_STEERING_DENIED', {
    detail: error.cause instanceof Error ? error.cause.message : error.message,
    cause: error,
    errno: Math.abs(error.errno),
    ...(error.step === undefined ? {} : { step: error.step }),
  })
}
