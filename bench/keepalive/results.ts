import { directTo, type Way } from '../latency/ways.js'
import { ofRounds, type Rounds } from '../statistics.js'

/** A way in one round. */
export interface Sample {
  readonly way: Way['name']
  readonly answered: number
  readonly errors: number
  readonly perSecond: number
}

/** A way over the rounds. */
export interface Figures {
  readonly way: Way['name']
  readonly perSecond: Rounds
  /** To the direct way to the same application, in the same round. */
  readonly toDirect: Rounds
  readonly answered: number
  readonly errors: number
}

/** @param rounds each with one sample of each way */
export function figuresOf(rounds: readonly (readonly Sample[])[], ways: readonly Way[]): Figures[] {
  return ways.map(({ name, application }) => {
    const own = rounds.map((round) => of(round, name))
    return {
      way: name,
      perSecond: ofRounds(own.map(({ perSecond }) => perSecond)),
      toDirect: ofRounds(
        rounds.map((round) => of(round, name).perSecond / of(round, directTo[application]).perSecond),
      ),
      answered: own.reduce((sum, { answered }) => sum + answered, 0),
      errors: own.reduce((sum, { errors }) => sum + errors, 0),
    }
  })
}

function of(round: readonly Sample[], way: Way['name']): Sample {
  const found = round.find((sample) => sample.way === way)
  if (found === undefined) throw new RangeError(`the round has no ${way}`)
  return found
}
