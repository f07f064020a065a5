import { BatonError } from '../errors/index.js'
import type { FlowKey } from './flow.js'
import { native } from './native.js'

/** The registers that this side uses. Their numbers and meaning: src/kernel/native/repair.h, and nowhere else. */
const registerNames = [
  ...['errno', 'state', 'family', 'passes', 'receiveBuffer', 'sendBuffer', 'finish'],
  ...['rcvNxt', 'rcvBytes', 'writeSeq', 'sndBytes', 'unsentBytes'],
  ...['sndWl1', 'sndWnd', 'maxWindow', 'rcvWnd', 'rcvWup'],
  ...['mss', 'sack', 'windowScaling', 'sndWscale', 'rcvWscale', 'timestamps', 'timestamp'],
  ...['noDelay', 'keepAlive', 'keepIdle', 'keepInterval', 'keepCount', 'userTimeoutMs', 'tos', 'mark'],
  'congestion',
] as const
/** What can fail, as an error's `step` names it. */
const stepNames = [
  'none',
  'TCP_INFO',
  'SO_ATTACH_FILTER',
  'SO_DETACH_FILTER',
  'getsockname',
  'socket options',
  'TCP_REPAIR',
  'TCP_REPAIR_OFF',
  'read TCP_MAXSEG',
  'read TCP_TIMESTAMP',
  'read TCP_REPAIR_WINDOW',
  'TCP_QUICKACK',
  'TCP_REPAIR_QUEUE',
  'read TCP_QUEUE_SEQ',
  'SIOCINQ',
  'peek receive queue',
  'peek send queue',
  'socket',
  'set socket options',
  'TCP_CONGESTION',
  'socket buffers',
  'TCP_MAXSEG',
  'bind',
  'TCP_QUEUE_SEQ',
  'connect',
  'TCP_REPAIR_OPTIONS',
  'TCP_TIMESTAMP',
  'fill receive queue',
  'fill send queue',
  'fill unsent queue',
  'TCP_REPAIR_WINDOW',
  'TCP_CORK',
  'SO_REUSEADDR',
  'close',
  'state',
  'urgent data',
  'queue length',
  'moving',
] as const
const finishNames = ['frozen', 'probe', 'quiet'] as const

export type RepairRegister = (typeof registerNames)[number]
export type RepairStep = (typeof stepNames)[number]
/** `frozen`: in repair, locked. `probe`: live, after a window probe. `quiet`: live, nothing sent. */
export type RepairFinish = (typeof finishNames)[number]

/** The calls as the addon exports them, one per phase. A negative result is minus the number of the failed step. */
interface RepairCalls {
  repairLayout(): { registers: string[]; finishes: string[]; steps: string[] }
  repairFreeze(
    fd: number,
    registers: Uint32Array,
    scratch: Buffer,
    key: FlowKey,
    keyKnown: boolean,
    again: boolean,
  ): number
  repairThaw(fd: number, registers: Uint32Array, sndWnd: number): number
  repairRestore(registers: Uint32Array, key: FlowKey, receive: Buffer, send: Buffer): number
  repairDiscard(fd: number, registers: Uint32Array): number
}

/** The addon's part for moving a connection, with its register file. Every call is synchronous, so one file serves all. */
export interface RepairDoor {
  readonly calls: RepairCalls
  readonly registers: Uint32Array
  /** Number of each register. */
  readonly at: Readonly<Record<RepairRegister, number>>
  readonly finish: Readonly<Record<RepairFinish, number>>
  /** Names of the steps by number. */
  readonly steps: readonly RepairStep[]
}

function numbers<T extends string>(wanted: readonly T[], names: readonly string[]): Record<T, number> {
  const entries = wanted.map((name) => {
    const index = names.indexOf(name)
    if (index < 0) throw new BatonError('BATON_KERNEL_ADDON', { detail: `It does not know ${name}.` })
    return [name, index] as const
  })
  return Object.fromEntries(entries) as Record<T, number>
}

function known<T extends string>(names: readonly string[], wanted: readonly T[]): readonly T[] {
  return names.map((name) => {
    const found = wanted.find((other) => other === name)
    if (found === undefined) throw new BatonError('BATON_KERNEL_ADDON', { detail: `Its ${name} is unknown.` })
    return found
  })
}

let door: RepairDoor | undefined

/** Loads the addon at the first call. @throws BatonError BATON_KERNEL_ADDON */
export function repairDoor(): RepairDoor {
  if (door !== undefined) return door
  const calls = native<RepairCalls>()
  const layout = calls.repairLayout()
  door = {
    calls,
    registers: new Uint32Array(layout.registers.length),
    at: numbers(registerNames, layout.registers),
    finish: numbers(finishNames, layout.finishes),
    steps: known(layout.steps, stepNames),
  }
  return door
}
