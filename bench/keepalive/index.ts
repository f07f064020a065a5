import { answeredOf, errorsOf, runClient } from '../client/index.js'
import { HostCpu } from '../host-cpu/index.js'
import { startNode, type Way, waysOf } from '../latency/ways.js'
import { machine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { PeerName } from '../peers/peer.js'
import { atLeast, type Bench, type BenchOptions, type Goal, type Outcome } from '../report.js'
import { short, spread } from '../statistics.js'
import { barCharts } from '../svg.js'
import { goalTable, table } from '../table.js'
import { forwardedWay } from './forwarded.js'
import { type Figures, figuresOf, type Sample } from './results.js'

interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly connections: number
}

const full: Plan = { rounds: 25, seconds: 0.35, connections: 32 }
const quick: Plan = { rounds: 2, seconds: 1, connections: 32 }
/** Until the connections are handed over, and the programs compiled. */
const WARM_UP_SECONDS = 0.1
const peers: readonly PeerName[] = ['direct', 'baton-adopt', 'haproxy', 'nginx', 'baton-http', 'baton-inline']
const OBJECT_BYTES = 1024
/** Whose host forwards: any that is not Baton's. */
const FORWARDER: PeerName = 'haproxy'

export const keepalive: Bench = {
  name: 'keepalive',
  summary: 'requests a second on connections that were handed over, against direct ones',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'btkeepalive', peers, objects: [OBJECT_BYTES] })
    try {
      options.say('starting: Baton and its peers, each on a host of its own')
      await field.startAll()
      await startNode(field)
      const ways = [...waysOf(field, OBJECT_BYTES), forwardedWay(field, FORWARDER, OBJECT_BYTES)]
      const figures = figuresOf(await measure(field, ways, plan, options), ways)
      const goals = judge(figures)
      const outcome: Outcome = {
        report: {
          bench: 'keepalive',
          goals,
          data: { machine: at, versions: field.versions, plan, figures },
        },
        text: tables(figures, ways, goals),
        plot: plot(figures, ways),
      }
      return outcome
    } finally {
      await field.dispose()
    }
  },
}

async function measure(
  field: Field,
  ways: readonly Way[],
  plan: Plan,
  { say }: BenchOptions,
): Promise<Sample[][]> {
  const cpu = await HostCpu.start()
  try {
    return await measureRounds(field, cpu, ways, plan, say)
  } finally {
    await cpu.close()
  }
}

async function measureRounds(
  field: Field,
  cpu: HostCpu,
  ways: readonly Way[],
  plan: Plan,
  say: BenchOptions['say'],
): Promise<Sample[][]> {
  const rounds: Sample[][] = []
  for (let round = 0; round <= plan.rounds; round++) {
    const samples: Sample[] = []
    for (const way of ways) samples.push(await measureWay(field, cpu, way, plan))
    const all = figuresOf([samples], ways).map(({ way, toDirect }) => `${way} ${short(toDirect.median)}`)
    say(`${round === 0 ? 'warm-up' : `round ${round} of ${plan.rounds}`}: to direct: ${all.join(' · ')}`)
    if (round > 0) rounds.push(samples)
  }
  return rounds
}

/** Whose host stands between, and whose backend answers. */
function peerOf({ name }: Way): PeerName {
  if (name === 'direct-node') return 'baton-inline'
  return name === 'direct-forwarded' ? FORWARDER : name
}

async function measureWay(
  field: Field,
  cpu: HostCpu,
  way: Way,
  { seconds, connections }: Plan,
): Promise<Sample> {
  const peer = field.peer(peerOf(way))
  const frontend = way.name === 'direct-node' ? undefined : peer.host
  const read = async () => {
    const snapshot = await cpu.read()
    const backend = snapshot.of(peer.backends[0]!)
    return { backend, frontend: frontend === undefined ? 0 : snapshot.of(frontend) }
  }
  const before = await read()
  const result = await runClient(field.net.client, {
    to: [way.get],
    seconds,
    warmUpSeconds: WARM_UP_SECONDS,
    loop: { kind: 'closed', connections, keep: true },
    samples: 0,
  })
  const after = await read()
  const answered = answeredOf(result)
  if (answered === 0) throw new Error(`${way.title} gave no answer: ${JSON.stringify(result.errors)}`)
  // What was answered before the seconds began cost CPU too.
  const all = answered * ((result.seconds + WARM_UP_SECONDS) / result.seconds)
  return {
    way: way.name,
    answered,
    errors: errorsOf(result),
    perSecond: answered / result.seconds,
    backendUs: ((after.backend - before.backend) * 1e6) / all,
    frontendUs: ((after.frontend - before.frontend) * 1e6) / all,
  }
}

/** With adopt the connection is the application's own; inline the agent looks at each next head, whose it is. */
function judge(figures: readonly Figures[]): Goal[] {
  return figures
    .filter(({ way }) => way === 'baton-adopt')
    .flatMap(({ way, toDirect, toForwarded, backendToDirect }) => [
      atLeast(`requests a second, ${way}, to direct`, toDirect.median, '×', 0.97),
      atLeast(
        `requests a second, ${way}, to direct past a host that forwards`,
        toForwarded.median,
        '×',
        0.97,
      ),
      atLeast(`requests a core-second of the backend, ${way}, to direct`, backendToDirect.median, '×', 0.97),
    ])
}

const applicationOf = (ways: readonly Way[], name: Way['name']): Way['application'] | undefined =>
  ways.find((way) => way.name === name)?.application

const titleOf = (ways: readonly Way[], name: Way['name']): string =>
  ways.find((way) => way.name === name)?.title ?? name

function tables(figures: readonly Figures[], ways: readonly Way[], goals: readonly Goal[]): string {
  const rows = figures.map(
    ({ way, perSecond, toDirect, toForwarded, backendUs, backendToDirect, frontendUs, answered, errors }) => [
      titleOf(ways, way),
      spread(perSecond),
      spread(toDirect),
      applicationOf(ways, way) === 'nginx' ? spread(toForwarded) : '',
      spread(backendUs),
      spread(backendToDirect),
      spread(frontendUs),
      `${errors} of ${answered}`,
    ],
  )
  const head = [
    'kept alive, 1 KB',
    'requests a second',
    'to direct',
    'to forwarded',
    'µs of the backend a request',
    'to direct',
    'of the frontend',
    'errors',
  ]
  return [goalTable(goals), table(head, rows)].join('\n\n')
}

function plot(figures: readonly Figures[], ways: readonly Way[]): string {
  const bars = figures.map(({ way, perSecond }) => ({
    label: titleOf(ways, way),
    parts: [{ value: perSecond.median, kind: way.startsWith('direct') ? 1 : 0 }],
    spread: perSecond,
    note: short(perSecond.median),
  }))
  const chart = {
    title: 'Requests on kept connections',
    unit: '1/s',
    bars,
    legend: ['through a frontend', 'direct'],
  }
  return barCharts('Answers of 1 KB on connections that stay', [chart])
}
