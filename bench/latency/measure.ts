import type { Host } from '../../src/lab/index.js'
import { answeredOf, errorsOf, runClient } from '../client/index.js'
import type { Sample } from './results.js'
import type { Way } from './ways.js'

export interface Pace {
  /** Requests of the one client by each way. */
  readonly requests: number
  /** Of each way at half load. */
  readonly seconds: number
}

const FULL_CONNECTIONS = 64
/** Until a Node program is compiled, and no longer than some seconds. */
const WARM_UP = { count: 4000, seconds: 8 }

/** Requests a second that a way can do here, by new connections, after it has warmed up. */
export async function fullLoad(
  client: Host,
  way: Way,
  from: readonly string[],
  seconds: number,
): Promise<number> {
  const loop = { kind: 'closed', connections: FULL_CONNECTIONS } as const
  const plan = { to: [way.get], loop, from, samples: 0 }
  await runClient(client, { ...plan, ...WARM_UP })
  const result = await runClient(client, { ...plan, seconds })
  return answeredOf(result) / result.seconds
}

/** One client, one request after the other, each on a new connection, by every way in turn. */
export async function oneClient(
  client: Host,
  ways: readonly Way[],
  from: readonly string[],
  { requests }: Pace,
): Promise<Sample[]> {
  const result = await runClient(client, {
    to: ways.map(({ get }) => get),
    count: requests * ways.length,
    loop: { kind: 'closed', connections: 1 },
    from,
  })
  const lost = errorsOf(result)
  if (lost > 0) throw new Error(`one client alone lost ${lost} requests: ${JSON.stringify(result.errors)}`)
  return ways.map(({ name }, index) => ({
    way: name,
    condition: 'one',
    timesUs: result.targets[index]?.firstByteUs ?? [],
    errors: 0,
  }))
}

/** Requests at random moments, so many a second, each on a new connection, whatever became of those before. */
export async function atRate(
  client: Host,
  way: Way,
  from: readonly string[],
  rate: number,
  seed: number,
  { seconds }: Pace,
): Promise<Sample> {
  const loop = { kind: 'open', rate, seed } as const
  const result = await runClient(client, { to: [way.get], seconds, warmUpSeconds: 0.3, loop, from })
  const timesUs = result.targets[0]?.firstByteUs ?? []
  if (timesUs.length === 0) throw new Error(`${way.title} gave no answer: ${JSON.stringify(result.errors)}`)
  return { way: way.name, condition: 'half', timesUs, errors: errorsOf(result) }
}
