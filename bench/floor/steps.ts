import { type Summary, summary } from '../statistics.js'

/** Steps of floor.c, and what they are made of. */
export const sides = [
  {
    name: 'handoff, frontend',
    steps: {
      accept: 'accept4',
      peek: 'recv(MSG_PEEK)',
      park: 'bpf, one a batch',
      freeze: 'lock, repair on, dump: 13–20 calls',
      offer: 'write, one a batch',
      steer: 'bpf, one a batch',
      discard: 'setsockopt, close',
      linger: 'bpf: look, write, and at the end delete',
    },
  },
  {
    name: 'proxy, kept connection',
    steps: {
      'proxy accept': 'accept4',
      'proxy watch': 'epoll_ctl',
      'proxy read': 'recv',
      'proxy ask': 'send to the server',
      'proxy hear': 'recv',
      'proxy answer': 'send to the client',
      'proxy close': 'close',
    },
  },
  {
    name: 'more with a new connection',
    steps: { 'proxy connect': 'socket, connect, epoll_ctl', 'proxy close upstream': 'close' },
  },
  {
    name: 'handoff, agent',
    steps: { restore: 'socket, bind, connect, 15 more', answer: 'recv, send', end: 'close' },
  },
] as const

/** One batch size: µs a connection by step, and by side in all, over the rounds. */
export interface Times {
  readonly batch: number
  readonly steps: Readonly<Record<string, Summary>>
  readonly sides: Readonly<Record<string, Summary>>
}

/** @param rounds µs a connection by step, one for each round @throws RangeError when a step is missing */
export function timesOf(batch: number, rounds: Readonly<Record<string, readonly number[]>>): Times {
  const of = (step: string): readonly number[] => {
    const found = rounds[step]
    if (found === undefined) throw new RangeError(`there is no step ${step}`)
    return found
  }
  const steps = sides.flatMap((side) => Object.keys(side.steps))
  const wholes = sides.map(({ name, steps: own }) => {
    const parts = Object.keys(own).map(of)
    const sums = (parts[0] ?? []).map((_, round) => parts.reduce((sum, part) => sum + (part[round] ?? 0), 0))
    return [name, summary(sums)] as const
  })
  return {
    batch,
    steps: Object.fromEntries(steps.map((step) => [step, summary(of(step))])),
    sides: Object.fromEntries(wholes),
  }
}
