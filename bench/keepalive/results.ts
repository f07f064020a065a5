import { directTo, type Way } from '../latency/ways.js'
import { ofRounds, type Rounds } from '../statistics.js'

/** A way in one round. */
export interface Sample {
  readonly way: Way['name']
  readonly answered: number
  readonly errors: number
  readonly perSecond: number
  /** CPU of the backend's host and of the frontend's for each request, µs, packets included. */
  readonly backendUs: number
  readonly frontendUs: number
}

/** A way over the rounds. */
export interface Figures {
  readonly way: Way['name']
  readonly perSecond: Rounds
  /** To the direct way to the same application, in the same round. */
  readonly toDirect: Rounds
  /** To the direct way past a host that only forwards, whose hop the machine has to make too. */
  readonly toForwarded: Rounds
  readonly backendUs: Rounds
  readonly frontendUs: Rounds
  /** What the direct way costs the backend's host, to what this costs it: requests that a core there can do. */
  readonly backendToDirect: Rounds
  readonly answered: number
  readonly errors: number
}

/** @param rounds each with one sample of each way */
export function figuresOf(rounds: readonly (readonly Sample[])[], ways: readonly Way[]): Figures[] {
  return ways.map(({ name, application }) => {
    const own = rounds.map((round) => of(round, name))
    const direct = rounds.map((round) => of(round, directTo[application]))
    const forwarded = rounds.map((round) => of(round, 'direct-forwarded'))
    const over = (figure: (sample: Sample, round: number) => number) => ofRounds(own.map(figure))
    return {
      way: name,
      perSecond: over(({ perSecond }) => perSecond),
      toDirect: over(({ perSecond }, round) => perSecond / direct[round]!.perSecond),
      toForwarded: over(({ perSecond }, round) => perSecond / forwarded[round]!.perSecond),
      backendUs: over(({ backendUs }) => backendUs),
      frontendUs: over(({ frontendUs }) => frontendUs),
      backendToDirect: over(({ backendUs }, round) => direct[round]!.backendUs / backendUs),
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
