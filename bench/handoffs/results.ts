import type { PeerName } from '../peers/peer.js'
import { ofRounds, type Rounds } from '../statistics.js'

/** One peer in one round. */
export interface Sample {
  readonly peer: PeerName
  readonly connections: number
  readonly errors: number
  readonly perSecond: number
  /** CPU of its host for each connection, µs; and what of that packets cost in softirq. */
  readonly hostUs: number
  readonly softirqUs: number
}

/** A peer over the rounds. */
export interface Figures {
  readonly peer: PeerName
  readonly perCoreSecond: Rounds
  readonly hostUs: Rounds
  /** Of that, its processes and their system calls. */
  readonly processUs: Rounds
  readonly softirqUs: Rounds
  readonly perSecond: Rounds
  /** {@link perCoreSecond} to HAProxy's, in the same round. */
  readonly toHaproxy: Rounds
  readonly connections: number
  readonly errors: number
}

/** @param rounds each with one sample of each peer, HAProxy's among them */
export function figuresOf(rounds: readonly (readonly Sample[])[], peers: readonly PeerName[]): Figures[] {
  return peers.map((peer) => {
    const own = rounds.map((round) => of(round, peer))
    const over = (figure: (sample: Sample) => number) => ofRounds(own.map(figure))
    const sum = (figure: (sample: Sample) => number) =>
      own.reduce((total, sample) => total + figure(sample), 0)
    return {
      peer,
      perCoreSecond: over(({ hostUs }) => 1e6 / hostUs),
      hostUs: over(({ hostUs }) => hostUs),
      processUs: over(({ hostUs, softirqUs }) => hostUs - softirqUs),
      softirqUs: over(({ softirqUs }) => softirqUs),
      perSecond: over(({ perSecond }) => perSecond),
      toHaproxy: ofRounds(rounds.map((round) => of(round, 'haproxy').hostUs / of(round, peer).hostUs)),
      connections: sum(({ connections }) => connections),
      errors: sum(({ errors }) => errors),
    }
  })
}

function of(round: readonly Sample[], peer: PeerName): Sample {
  const found = round.find((sample) => sample.peer === peer)
  if (found === undefined) throw new RangeError(`the round has no ${peer}`)
  return found
}
