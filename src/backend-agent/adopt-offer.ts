import { FLOW_KEY_BYTES, type FlowKey } from '../kernel/flow.js'
import {
  type AdoptionEntry,
  adoptionLayout,
  attrsLayout,
  type Expected,
  offerLayout,
  states,
  writeNotes,
} from './adopt-layout.js'
import { putU32, takeU32 } from './host-order.js'

const at = adoptionLayout.offsets
const attr = attrsLayout.offsets
const EXPECTED = states.indexOf('expected')

/**
 * Puts an offer in hand: its first segment may come from now on. What a former one left behind its fields' ends is
 * nobody's. @param to the shared memory
 */
export function writeOffer(to: Buffer, flow: FlowKey, expected: Expected): void {
  const { snapshot } = expected
  const { receive, send, options } = snapshot
  const { windowScale, timestamps } = options
  putU32(to, at.seq, receive.nextSequence - receive.queue.length)
  putU32(to, at.ack, send.writeSequence)
  putU32(to, at.flags, 0)
  putU32(to, at.attrs + attr.rcv_tsval, 0)
  putU32(to, at.attrs + attr.rcv_tsecr, timestamps === null ? 0 : expected.clock)
  putU32(to, at.attrs + attr.mss, snapshot.mss)
  to[at.attrs + attr.rcv_wscale] = windowScale === null ? 0 : windowScale.receive
  to[at.attrs + attr.snd_wscale] = windowScale === null ? 0 : windowScale.send
  to[at.attrs + attr.wscale_ok] = windowScale === null ? 0 : 1
  to[at.attrs + attr.sack_ok] = options.sack ? 1 : 0
  to[at.attrs + attr.tstamp_ok] = timestamps === null ? 0 : 1
  to[at.attrs + attr.usec_ts_ok] = timestamps?.microseconds ? 1 : 0
  to.set(expected.address, at.listener)
  to[at.listener_port] = expected.port >>> 8
  to[at.listener_port + 1] = expected.port
  putU32(to, at.failure, 0)
  to.fill(0, at.cookie, at.id)
  putU32(to, at.unread, receive.queue.length)
  writeNotes(to, expected.notes)
  to.set(flow, offerLayout.offsets.flow)
  putU32(to, at.state, EXPECTED)
}

/** The flow that is or was in hand. */
export function flowOnOffer(offer: Buffer): FlowKey {
  const { flow } = offerLayout.offsets
  return Buffer.from(offer.subarray(flow, flow + FLOW_KEY_BYTES))
}

/** Ends that the ring buffer had no room for, ever. */
export function missedEndings(offer: Buffer): number {
  return takeU32(offer, offerLayout.offsets.missed)
}

/** Takes it back, or has done with it. */
export function clearOffer(offer: Buffer): void {
  putU32(offer, at.state, 0)
}

/** Whether a child was born, or why not. */
export type Birth = Pick<AdoptionEntry, 'state' | 'failure'>

export function readBirth(from: Buffer): Birth {
  return {
    state: states[takeU32(from, at.state)] ?? 'none',
    failure: takeU32(from, at.failure) & 0xffff,
  }
}
