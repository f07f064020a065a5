import {
  type Channel,
  Giver,
  type GiverOptions,
  type LateAnswer,
  type OutcomeJournal,
  type Settlement,
  type Taken,
  Taker,
} from '../../src/handoff/index.js'
import { type Agent, dial, type Frontend, frontendHello, startAgent, until } from './pair.js'

export const AGENT_EPOCH = 7

/** An agent with a taker. */
export interface TakingAgent extends Agent {
  readonly taker: Taker
  /** Offers handed to the caller, by id. */
  readonly delivered: number[]
}

/** begin, commit, adopted: as an agent does whose restore goes well. */
export function adopt(taker: Taker, taken: Taken): void {
  if (!taker.begin(taken)) return
  taker.commit(taken)
  taker.adopted(taken)
}

export async function startTaking(options: {
  readonly port?: number
  readonly epoch?: number
  readonly capacity?: number
  readonly takerCapacity?: number
  readonly journal?: OutcomeJournal
  readonly taker?: Taker
  onOffer?(taker: Taker, taken: Taken, channel: Channel | undefined): void
}): Promise<TakingAgent> {
  const epoch = options.epoch ?? AGENT_EPOCH
  const delivered: number[] = []
  let current: Channel | undefined
  const taker =
    options.taker ??
    new Taker({
      epoch,
      capacity: options.takerCapacity ?? 100_000,
      ...(options.journal && { journal: options.journal }),
      onOffer(taken) {
        delivered.push(taken.offer.id)
        if (options.onOffer) options.onOffer(taker, taken, current)
        else adopt(taker, taken)
      },
    })
  const agent = await startAgent({
    ...(options.port !== undefined && { port: options.port }),
    hello: { epoch, capacity: options.capacity ?? 100_000 },
    onChannel(channel) {
      current = channel
      taker.channelUp(channel)
      channel.onMessage = (message) => taker.handle(channel, message)
      channel.onClose = () => taker.channelDown(channel)
    },
  })
  return { ...agent, taker, delivered }
}

export interface GivingFrontend extends Frontend {
  readonly giver: Giver<string>
  readonly settled: Map<number, Settlement>
  readonly late: LateAnswer[]
  readonly contradictions: LateAnswer[]
}

/** A frontend with a giver that counts how often each offer is settled. */
export async function startGiving(
  port: number,
  options: Partial<Pick<GiverOptions<string>, 'unknownTimeoutMs' | 'askEveryMs'>> & {
    readonly epoch?: number
    onSettled?(id: number, settlement: Settlement): void
  } = {},
): Promise<GivingFrontend> {
  const { onSettled, epoch = frontendHello.epoch, ...rest } = options
  const settled = new Map<number, Settlement>()
  const late: LateAnswer[] = []
  const contradictions: LateAnswer[] = []
  const giver = new Giver<string>({
    epoch,
    ...rest,
    onSettled(_tag, settlement, id) {
      if (settled.has(id)) throw new Error(`offer ${id} was settled twice`)
      settled.set(id, settlement)
      onSettled?.(id, settlement)
    },
    onLate: (_tag, answer) => late.push(answer),
    onContradiction: (answer) => contradictions.push(answer),
  })
  const frontend = dial(port, {
    hello: { epoch },
    onUp: (channel) => giver.channelUp(channel),
    onDown: (_error, channel) => channel && giver.channelDown(channel),
    onMessage: (channel, message) => giver.handle(channel, message),
  })
  await until('the channel', () => frontend.ups.length === 1)
  return { ...frontend, giver, settled, late, contradictions }
}
