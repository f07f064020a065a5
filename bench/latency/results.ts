import { ofRounds, quantile, type Rounds } from '../statistics.js'
import { directTo, type Way } from './ways.js'

export type Condition = 'one' | 'half'

/** Microseconds to the first byte by a way in one round. */
export interface Sample {
  readonly way: Way['name']
  readonly condition: Condition
  readonly timesUs: readonly number[]
  readonly errors: number
}

/** A way in one condition over the rounds. */
export interface Figures {
  readonly way: Way['name']
  readonly condition: Condition
  readonly count: number
  readonly errors: number
  readonly p50: Rounds
  readonly p99: Rounds
  /** Of all rounds together: one alone has too few. */
  readonly p999: number
  /** Over the direct way to the same application, in the same round. */
  readonly addedP50: Rounds
  readonly addedP99: Rounds
}

/** @param rounds each with one sample of each way in each condition */
export function figuresOf(rounds: readonly (readonly Sample[])[], ways: readonly Way[]): Figures[] {
  return (['one', 'half'] as const).flatMap((condition) =>
    ways.map(({ name, application }) => {
      const times = (way: Way['name']) => rounds.map((round) => of(round, way, condition).timesUs)
      const own = times(name)
      const direct = times(directTo[application])
      const at = (share: number) => ofRounds(own.map((one) => quantile(one, share)))
      const added = (share: number) =>
        ofRounds(own.map((one, round) => quantile(one, share) - quantile(direct[round]!, share)))
      return {
        way: name,
        condition,
        count: own.reduce((sum, { length }) => sum + length, 0),
        errors: rounds.reduce((sum, round) => sum + of(round, name, condition).errors, 0),
        p50: at(0.5),
        p99: at(0.99),
        p999: quantile(own.flat(), 0.999),
        addedP50: added(0.5),
        addedP99: added(0.99),
      }
    }),
  )
}

function of(round: readonly Sample[], way: Way['name'], condition: Condition): Sample {
  const found = round.find((sample) => sample.way === way && sample.condition === condition)
  if (found === undefined) throw new RangeError(`the round has no ${way}`)
  return found
}
