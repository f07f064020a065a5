import type { Host } from '../../src/lab/index.js'
import { compiled } from '../compile.js'

/** Where a GET goes. */
export interface Get {
  readonly address: string
  readonly port: number
  /** What the request asks for by Host. */
  readonly host: string
  readonly path: string
}

export interface LoadPlan {
  /** Several only with one connection, which then takes them in turn. */
  readonly to: readonly Get[]
  /** How long, or how many requests. */
  readonly seconds?: number
  readonly count?: number
  /** Not counted, before `seconds` begin. */
  readonly warmUpSeconds?: number
  /** Closed: so many at once. Open: so many a second are due, whatever became of those before. */
  readonly loop:
    | { readonly kind: 'closed'; readonly connections: number; readonly keep?: boolean }
    | { readonly kind: 'open'; readonly rate: number; readonly seed: number }
  /** Source addresses in turn; default: the host's own. */
  readonly from?: readonly string[]
  /** Of how many answers the time is told. Default: as many as there are, to a million. */
  readonly samples?: number
}

/** By what went wrong: `unsent` were due when no connection was free. */
export type LoadErrors = Readonly<
  Record<'connect' | 'reset' | 'short' | 'status' | 'timeout' | 'unsent', number>
>

export interface LoadResult {
  readonly seconds: number
  /** Of the client. */
  readonly cpuSeconds: number
  readonly started: number
  readonly errors: LoadErrors
  readonly targets: readonly {
    readonly answered: number
    /** From the moment a request was due (in a closed loop: begun) to the first byte of its answer. */
    readonly firstByteUs: readonly number[]
  }[]
}

export function clientArgs(plan: LoadPlan): string[] {
  const { to, loop } = plan
  const some = (name: string, value: number | undefined) =>
    value === undefined ? [] : [`--${name}`, String(value)]
  return [
    ...to.flatMap(({ address, port, host, path }) => ['--to', `${address}:${port}:${host}:${path}`]),
    ...some('seconds', plan.seconds),
    ...some('count', plan.count),
    ...some('warm-up', plan.warmUpSeconds),
    ...some('samples', plan.samples),
    ...(loop.kind === 'open'
      ? [...some('rate', loop.rate), ...some('seed', loop.seed)]
      : [...some('connections', loop.connections), ...(loop.keep === true ? ['--keep'] : [])]),
    ...(plan.from === undefined ? [] : ['--from', plan.from.join(',')]),
  ]
}

/** Runs the client on a host. @throws BatonError BATON_LAB_COMMAND when it does not understand the plan */
export async function runClient(host: Host, plan: LoadPlan): Promise<LoadResult> {
  const limitMs = ((plan.seconds ?? 60) + (plan.warmUpSeconds ?? 0) + 20) * 1000
  const output = await host.run(compiled('client/client.c'), clientArgs(plan), {
    timeoutMs: limitMs,
    maxOutputBytes: 64 * 1024 * 1024,
  })
  return JSON.parse(output) as LoadResult
}

export const errorsOf = ({ errors }: LoadResult): number =>
  Object.values(errors).reduce((sum, count) => sum + count, 0)

export const answeredOf = ({ targets }: LoadResult): number =>
  targets.reduce((sum, { answered }) => sum + answered, 0)

/** Source addresses for {@link LoadPlan.from}: enough for some hundred thousand connections within a minute. */
export function giveClientAddresses(client: Host, count = 16): string[] {
  const first = client.ipv4
  const more = Array.from({ length: count }, (_, index) => first.replace(/\d+$/, String(100 + index)))
  for (const address of more) client.addAddress('eth0', `${address}/24`)
  client.setSysctls({ 'net.ipv4.ip_local_port_range': '2000 65000' })
  return more
}
