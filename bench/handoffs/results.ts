import type { PeerName } from '../peers/peer.js'
import { ofRounds, type Rounds } from '../statistics.js'

/** One peer in one round. */
export interface Sample {
  readonly peer: PeerName
  readonly connections: number
  readonly errors: number
  readonly perSecond: number
  /** Of its core for each connection, µs: its processes with their system calls, and packets, whoever ran just then. */
  readonly processUs: number
  readonly softirqUs: number
}

export const coreUs = ({ processUs, softirqUs }: Sample): number => processUs + softirqUs

/** A peer over the rounds. */
export interface Figures {
  readonly peer: PeerName
  readonly perCoreSecond: Rounds
  /** The sum of the two below. */
  readonly coreUs: Rounds
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
      perCoreSecond: over((sample) => 1e6 / coreUs(sample)),
      coreUs: over(coreUs),
      processUs: over(({ processUs }) => processUs),
      softirqUs: over(({ softirqUs }) => softirqUs),
      perSecond: over(({ perSecond }) => perSecond),
      toHaproxy: ofRounds(rounds.map((round) => coreUs(of(round, 'haproxy')) / coreUs(of(round, peer)))),
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
