import { giveClientAddresses } from '../client/index.js'
import { machine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { PeerName } from '../peers/peer.js'
import { atMost, type Bench, type BenchOptions, type Goal, type Outcome } from '../report.js'
import { short } from '../statistics.js'
import { atRate, fullLoad, oneClient, type Pace } from './measure.js'
import { type Condition, type Figures, figuresOf, type Sample } from './results.js'
import { plot, type Shown, tables } from './show.js'
import { startNode, type Way, waysOf } from './ways.js'

interface Plan extends Pace {
  readonly rounds: number
  readonly fullSeconds: number
}

const full: Plan = { rounds: 5, requests: 300, seconds: 2, fullSeconds: 1.5 }
const quick: Plan = { rounds: 2, requests: 100, seconds: 1, fullSeconds: 0.7 }
/** Those whose answers come from nginx on the first backend, then those with other backends. */
const peers: readonly PeerName[] = ['direct', 'haproxy', 'nginx', 'baton-adopt', 'baton-http', 'baton-inline']
const OBJECT_BYTES = 1024

export const latency: Bench = {
  name: 'latency',
  summary: 'time to the first byte of an answer: one client, and at half load',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'btlatency', peers, objects: [OBJECT_BYTES] })
    try {
      options.say('starting: Baton and its peers, each on a host of its own')
      await field.startAll()
      await startNode(field)
      const ways = waysOf(field, OBJECT_BYTES)
      const { rounds, rate, fullLoads } = await measure(field, ways, plan, options)
      const figures = figuresOf(rounds, ways)
      const goals = judge(figures)
      const shown: Shown = { figures, ways, rate }
      const outcome: Outcome = {
        report: {
          bench: 'latency',
          goals,
          data: { machine: at, versions: field.versions, plan, fullLoads, rate, figures },
        },
        text: tables(shown, goals),
        plot: plot(shown),
      }
      return outcome
    } finally {
      await field.dispose()
    }
  },
}

async function measure(field: Field, ways: readonly Way[], plan: Plan, { say }: BenchOptions) {
  const { client } = field.net
  const from = giveClientAddresses(client)
  const fullLoads: Record<string, number> = {}
  for (const way of ways) fullLoads[way.name] = await fullLoad(client, way, from, plan.fullSeconds)
  // One rate for all, that nobody has to strain at.
  const rate = Math.min(...Object.values(fullLoads)) / 2
  const loads = Object.entries(fullLoads).map(([name, load]) => `${name} ${Math.round(load)}`)
  say(`full loads a second: ${loads.join(' · ')}; half of the lowest is ${Math.round(rate)}`)
  const rounds: Sample[][] = []
  for (let round = 1; round <= plan.rounds; round++) {
    const samples = await oneClient(client, ways, from, plan)
    for (const way of ways) samples.push(await atRate(client, way, from, rate, round, plan))
    rounds.push(samples)
    const added = figuresOf([samples], ways).filter(({ condition }) => condition === 'one')
    say(`round ${round} of ${plan.rounds}: added at p50, µs: ${added.map(headline).join(' · ')}`)
  }
  return { rounds, rate, fullLoads }
}

const headline = ({ way, addedP50 }: Figures): string => `${way} ${short(addedP50.median)}`

/** What Baton adds, against what HAProxy adds in the same condition. */
function judge(figures: readonly Figures[]): Goal[] {
  const of = (way: Way['name'], condition: Condition) =>
    figures.find((one) => one.way === way && one.condition === condition)!
  const conditions: readonly Condition[] = ['one', 'half']
  return (['baton-adopt', 'baton-inline'] as const).flatMap((way) =>
    conditions.flatMap((condition) => {
      const own = of(way, condition)
      const limit = of('haproxy', condition)
      const where = condition === 'one' ? 'one client' : 'half load'
      const round = (value: number) => Math.round(value * 10) / 10
      return [
        atMost(
          `${way} adds at p50, ${where}; HAProxy's as the aim`,
          own.addedP50.median,
          'µs',
          round(limit.addedP50.median),
        ),
        atMost(
          `${way} adds at p99, ${where}; HAProxy's as the aim`,
          own.addedP99.median,
          'µs',
          round(limit.addedP99.median),
        ),
      ]
    }),
  )
}
