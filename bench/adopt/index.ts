import { sha256OfBody } from '../../src/cli/demo/origin.js'
import { giveClientAddresses } from '../client/index.js'
import { HostCpu } from '../host-cpu/index.js'
import { machine, machineLine } from '../machine.js'
import { Field } from '../peers/field.js'
import type { Peer } from '../peers/peer.js'
import type { Bench, BenchOptions, Outcome } from '../report.js'
import { short } from '../statistics.js'
import { account, digest, download, firstBytes, rate, SMALL_BYTES } from './measure.js'
import { judge, type Measured, peerNames, toDirect } from './results.js'
import { plot, tables } from './show.js'

interface Plan {
  readonly rounds: number
  /** Downloads of each round by adopt and directly; one of them is by http too. */
  readonly pairs: number
  readonly bytes: number
  readonly firstBytes: number
  readonly rateSeconds: number
  readonly accountedRounds: number
}

const GIB = 2 ** 30
const full: Plan = { rounds: 5, pairs: 4, bytes: GIB, firstBytes: 200, rateSeconds: 1, accountedRounds: 3 }
const quick: Plan = { ...full, rounds: 2, firstBytes: 100, accountedRounds: 2 }

export const adopt: Bench = {
  name: 'adopt',
  summary: 'nginx, unmodified, by adopt, against the direct connection: 1 GiB to curl, CPU, first byte',
  async run(options) {
    const plan = options.quick ? quick : full
    const at = machine()
    const field = new Field({ prefix: 'btadopt', peers: peerNames, objects: [SMALL_BYTES, plan.bytes] })
    try {
      const measured = await measure(field, plan, options)
      const goals = judge(measured)
      const titles = new Map(field.peers.map(({ name, title }) => [name, title]))
      const firstBytesUs = measured.firstBytesUs.map((round) => Object.fromEntries(round))
      const outcome: Outcome = {
        report: {
          bench: 'adopt',
          goals,
          data: { machine: at, versions: field.versions, plan, ...measured, firstBytesUs },
        },
        text: `${machineLine(at, field.versions)}\n\n${tables(measured, goals, titles)}`,
        plot: plot(measured, titles),
      }
      return outcome
    } finally {
      await field.dispose()
    }
  },
}

async function measure(field: Field, plan: Plan, { say }: BenchOptions): Promise<Measured> {
  const { bytes } = plan
  say('starting: Baton, its agents, nginx, and an object of 1 GiB')
  await field.startAll()
  const from = giveClientAddresses(field.net.client)
  const expected = sha256OfBody(bytes)
  for (const peer of field.peers) {
    const sha256 = await digest(field, peer, bytes)
    if (sha256 !== expected) throw new Error(`${peer.title}: another body came`)
    // The first seconds of a process are the compiler's.
    await rate(field, peer, from, 2 * plan.rateSeconds)
  }
  say('every body is right')
  const downloads: Measured['downloads'][number][] = []
  const firstBytesUs: Measured['firstBytesUs'][number][] = []
  const rates: Measured['rates'][number][] = []
  const measured = { bytes, downloads, firstBytesUs, rates, accounted: [] }
  for (let round = 0; round < plan.rounds; round++) {
    const before = downloads.length
    for (let pair = 0; pair < plan.pairs; pair++) {
      const peers = field.peers.filter(({ name }) => pair === 0 || name !== 'baton-http')
      downloads.push(await each(peers, round + pair, (peer) => download(field, peer, bytes)))
    }
    firstBytesUs.push(await firstBytes(field, plan.firstBytes))
    rates.push(await each(field.peers, round, (peer) => rate(field, peer, from, plan.rateSeconds)))
    const ratio = toDirect({ ...measured, downloads: downloads.slice(before) }, 'baton-adopt').median
    say(`round ${round + 1} of ${plan.rounds}: adopt at ${short(ratio)} of direct`)
  }
  return { ...measured, accounted: await accountAll(field, plan, say) }
}

/** Watching costs a little for every packet: apart from the rounds in which speed is measured. */
async function accountAll(
  field: Field,
  { accountedRounds, bytes }: Plan,
  say: BenchOptions['say'],
): Promise<Measured['accounted']> {
  const cpu = await HostCpu.start()
  try {
    const rounds: Measured['accounted'][number][] = []
    for (let round = 0; round < accountedRounds; round++) {
      rounds.push(await each(field.peers, round, (peer) => account(field, cpu, peer, bytes)))
    }
    say('CPU by host is accounted for')
    return rounds
  } finally {
    await cpu.close()
  }
}

/** Every peer once, each round another one first. */
async function each<T>(peers: readonly Peer[], round: number, act: (peer: Peer) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  for (let place = 0; place < peers.length; place++) {
    results.push(await act(peers[(round + place) % peers.length]!))
  }
  return results
}
