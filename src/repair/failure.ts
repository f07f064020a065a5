import { getSystemErrorName } from 'node:util'
import { BatonError, type ErrorCode } from '../errors/index.js'
import type { RepairDoor, RepairStep } from '../kernel/repair.js'

/** TCP states as TCP_INFO numbers them (include/net/tcp_states.h). */
const stateNames = [
  ...['', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT1', 'FIN_WAIT2', 'TIME_WAIT'],
  ...['CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN', 'CLOSING', 'NEW_SYN_RECV'],
]

interface Failure {
  readonly step: RepairStep
  /** Name of the errno, for example EADDRNOTAVAIL; empty when no system call failed. */
  readonly name: string
  readonly state: string
}

function freezeCode({ step, name, state }: Failure): ErrorCode {
  switch (step) {
    case 'state':
      if (state === 'LISTEN') return 'BATON_FREEZE_LISTENING'
      return state === 'CLOSE_WAIT' ? 'BATON_FREEZE_HALF_CLOSED' : 'BATON_FREEZE_STATE'
    case 'urgent data':
      return 'BATON_FREEZE_URGENT'
    case 'queue length':
      return 'BATON_FREEZE_QUEUE'
    case 'moving':
      return 'BATON_FREEZE_MOVING'
    case 'TCP_INFO':
      return 'BATON_FREEZE_NOT_TCP'
    case 'SO_ATTACH_FILTER':
    case 'TCP_REPAIR':
      if (name === 'EPERM') return 'BATON_REPAIR_PRIVILEGE'
      // It has answered TCP_INFO, so it is some TCP; the step depends on the kernel. Node says ENOTSUP for EOPNOTSUPP.
      return name === 'ENOPROTOOPT' || name === 'ENOTSUP' ? 'BATON_FREEZE_MPTCP' : 'BATON_FREEZE_FAILED'
    case 'getsockname': // the connection was reset between two calls
      return name === 'ENOTCONN' ? 'BATON_FREEZE_STATE' : 'BATON_FREEZE_FAILED'
    default:
      return 'BATON_FREEZE_FAILED'
  }
}

function restoreCode({ step, name }: Failure): ErrorCode {
  switch (step) {
    case 'socket':
      return name === 'EMFILE' || name === 'ENFILE' ? 'BATON_RESTORE_DESCRIPTORS' : 'BATON_RESTORE_FAILED'
    case 'TCP_CONGESTION':
      return 'BATON_RESTORE_CONGESTION'
    case 'SO_ATTACH_FILTER':
    case 'TCP_REPAIR':
      return name === 'EPERM' ? 'BATON_REPAIR_PRIVILEGE' : 'BATON_RESTORE_FAILED'
    case 'TCP_MAXSEG':
    case 'TCP_REPAIR_OPTIONS':
    case 'TCP_REPAIR_WINDOW':
      return 'BATON_RESTORE_SNAPSHOT'
    case 'bind':
      return name === 'EADDRNOTAVAIL' ? 'BATON_RESTORE_VIP' : 'BATON_RESTORE_FAILED'
    case 'connect':
      if (name === 'EADDRNOTAVAIL') return 'BATON_RESTORE_TAKEN'
      return name === 'ENETUNREACH' || name === 'EHOSTUNREACH'
        ? 'BATON_RESTORE_ROUTE'
        : 'BATON_RESTORE_FAILED'
    case 'socket buffers':
    case 'fill receive queue':
    case 'fill send queue':
    case 'fill unsent queue':
      return 'BATON_RESTORE_BUFFERS'
    default:
      return 'BATON_RESTORE_FAILED'
  }
}

/** The error for a negative result of one of the door's calls. */
export function failure(door: RepairDoor, phase: 'freeze' | 'thaw' | 'discard' | 'restore', result: number) {
  const errno = door.registers[door.at.errno] ?? 0
  const step = door.steps[-result] ?? 'none'
  const name = errno === 0 ? '' : getSystemErrorName(-errno)
  const state = stateNames[door.registers[door.at.state] ?? 0] ?? ''
  const facts: Failure = { step, name, state }
  const code: ErrorCode = {
    freeze: freezeCode,
    restore: restoreCode,
    thaw: (): ErrorCode => 'BATON_THAW_FAILED',
    discard: (): ErrorCode => 'BATON_DISCARD_FAILED',
  }[phase](facts)
  const detail = step === 'state' ? `Its state is ${state}.` : `(${step}${name === '' ? '' : `: ${name}`})`
  return new BatonError(code, { step, detail, ...(errno === 0 ? {} : { errno }) })
}
