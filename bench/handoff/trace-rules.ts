/**
 * Which phase of a handoff a system call belongs to, told from the call and from the phase before it. That works for
 * handoffs one after the other: then each process goes through them in one order.
 */
export interface Rule {
  readonly call: RegExp
  /** Phases that may stand before; any if left out. */
  readonly after?: readonly string[]
  readonly phase: string
}

/** A wait that ended in an event; waits that ended in nothing are the idle loop's. */
const loop: readonly Rule[] = [
  { call: /^(<\.\.\. )?epoll_pwait.* = [1-9]\d*$/, phase: 'loop' },
  { call: /epoll_pwait/, phase: 'idle' },
]

/** What comes on a control channel: 64 KiB are asked for, as in a freeze, which only peeks. */
const received = /^recvfrom\(\d+, .*, 65536, MSG_DONTWAIT, NULL, NULL\) += [1-9]/

/** Reads of the parking device are of 1 MiB. */
export const frontendRules: readonly Rule[] = [
  ...loop,
  { call: /^(epoll_wait|accept4)\(/, phase: 'gate' },
  { call: /^recvfrom\(.*MSG_PEEK/, after: ['gate'], phase: 'gate' },
  { call: /^bpf\(BPF_MAP_UPDATE/, after: ['gate'], phase: 'park' },
  { call: received, phase: 'receive' },
  { call: /^(getsockopt|setsockopt|recvfrom|ioctl)\(/, after: ['park', 'freeze'], phase: 'freeze' },
  { call: /^(write|writev|sendmsg|sendto)\(/, after: ['freeze'], phase: 'offer' },
  { call: /^bpf\(BPF_MAP_(LOOKUP|DELETE)/, after: ['receive', 'linger'], phase: 'linger' },
  { call: /^bpf\(/, after: ['linger'], phase: 'linger' },
  { call: /^(bpf\(|(read|write)\(\d+, .*, 1048576\))/, after: ['receive', 'steer'], phase: 'steer' },
  { call: /^(setsockopt|close)\(/, after: ['steer', 'close'], phase: 'close' },
]

export const agentRules: readonly Rule[] = [
  ...loop,
  { call: /^(write|writev)\(\d+, .*HTTP\/1\.1/, phase: 'answer' },
  { call: received, phase: 'receive' },
  { call: /^socket\(/, after: ['receive'], phase: 'restore' },
  { call: /^(bind|connect|sendto)\(/, after: ['restore'], phase: 'restore' },
  { call: /^ioctl\(\d+, TCGETS/, after: ['restore'], phase: 'deliver' },
  { call: /^(getsockopt|setsockopt)\(/, after: ['restore'], phase: 'restore' },
  { call: /^sendto\(\d+, .*= 13$/, after: ['deliver'], phase: 'adopted' },
  {
    call: /^(ioctl|fstat|getsockname|getsockopt|setsockopt|epoll_ctl)\(/,
    after: ['deliver', 'adopted'],
    phase: 'deliver',
  },
  { call: /^(write|writev|epoll_ctl|epoll_wait|recvfrom)\(/, after: ['answer'], phase: 'answer' },
  { call: /^(shutdown|close)\(/, phase: 'close' },
  { call: /^(read|epoll_ctl)\(/, after: ['close'], phase: 'close' },
  { call: /^sendto\(/, after: ['close'], phase: 'closed' },
]

/** Calls by phase and name. */
export type Calls = Record<string, Record<string, number>>

/** Sorts the calls of a process's main thread, out of what `strace -f -o` wrote; those of its other threads are `threads`. */
export function sortCalls(trace: string, pid: number, rules: readonly Rule[]): Calls {
  const calls: Calls = {}
  let before = 'other'
  for (const line of trace.split('\n')) {
    const match = /^(\d+) +(.*)$/.exec(line)
    const text = match?.[2] ?? ''
    const name = /^(?:<\.\.\. )?(\w+)/.exec(text)?.[1]
    if (name === undefined || text.startsWith('+++') || text.startsWith('---')) continue
    const own = Number(match?.[1]) === pid
    // The second half of a call that was counted when it began; only a wait shows by its end what it was.
    if (text.startsWith('<...') && !(own && name === 'epoll_pwait')) continue
    const phase = own ? phaseOf(text, before, rules) : 'threads'
    if (phase === 'idle') continue
    if (own && phase !== 'loop') before = phase
    const names = calls[phase] ?? {}
    names[name] = (names[name] ?? 0) + 1
    calls[phase] = names
  }
  return calls
}

function phaseOf(text: string, before: string, rules: readonly Rule[]): string {
  const rule = rules.find(
    ({ call, after }) => call.test(text) && (after === undefined || after.includes(before)),
  )
  return rule?.phase ?? 'other'
}

export const sumOf = (names: Readonly<Record<string, number>>): number =>
  Object.values(names).reduce((left, right) => left + right, 0)

/** Divided by the number of handoffs, to a hundredth. */
export function perHandoff(calls: Calls, handoffs: number): Calls {
  const divide = (count: number) => Math.round((count / handoffs) * 100) / 100
  return Object.fromEntries(
    Object.entries(calls).map(([phase, names]) => [
      phase,
      Object.fromEntries(Object.entries(names).map(([name, count]) => [name, divide(count)])),
    ]),
  )
}

/** The table of `strace -c`: calls by name. */
export function countedCalls(output: string): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const line of output.split('\n')) {
    const match = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z_]\w*)$/.exec(line)
    if (match !== null && match[2] !== 'total') counts[match[2] ?? ''] = Number(match[1])
  }
  return counts
}
