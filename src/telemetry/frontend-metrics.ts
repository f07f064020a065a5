import { collectDefaultMetrics, Registry } from 'prom-client'
import { CounterFamily } from './counter-family.js'
import {
  channelMetrics,
  LOOP_DELAY_EVERY_MS,
  readCounter,
  readGauge,
  readGauges,
  registryMetrics,
} from './gauges.js'
import { HistogramFamily } from './histogram-family.js'
import type { ChannelSample, RegistrySample } from './sources.js'

/** What is read from the frontend's parts when somebody scrapes; what is left out reads as nothing. */
export interface FrontendSources {
  /** Connections accepted since the start. */
  accepted?(): number
  /** Entries of the flow table by state: park, steer, linger. */
  flows?(): Readonly<Record<string, number>>
  /** `proven`: flows that were steered before the process said so. */
  steered?(): { readonly packets: number; readonly bytes: number; readonly proven: number }
  parked?(): { readonly frames: number; readonly dropped: number }
  channels?(): readonly ChannelSample[]
  offersInFlight?(): number
  /** Connections that have not shown their head, and those being relayed. */
  connections?(): { readonly pending: number; readonly relayed: number }
  registry?(): RegistrySample
}

/** Every metric of a frontend, in a prom-client registry of its own. */
export class FrontendMetrics {
  readonly registry = new Registry()
  readonly #sources: FrontendSources
  /** Heads read, by the pool that the routes chose. */
  readonly requests
  /** What the frontend ended itself: requests by status, TLS by the name of the alert, what was cut without a word by code. */
  readonly rejected
  /** Settled offers. Results: adopted, refused, lost. */
  readonly handoffs
  /** Refused offers by the agent's code. */
  readonly refusals
  /** Connections relayed instead of handed over, by reason. */
  readonly relayed
  /** Connections that agents gave back, by what became of them: moved, relayed, refused. */
  readonly returned
  /** Flows of other frontends that were looked up. Results: steered, unknown, gone, unreachable, unanswered. */
  readonly failovers
  /** Flows whose end nobody told, and that the audit of silent flows found. */
  readonly lostEnds
  /** Connections that ended at an agent, by cause. */
  readonly closed
  /** Bytes of ended connections; direction: in is from the client. */
  readonly bytes
  /** Seconds by phase: head, choose, freeze, offer (until the answer), steer, total. */
  readonly phases

  constructor(sources: FrontendSources = {}) {
    const { registry } = this
    this.#sources = sources
    const family = <const L extends readonly string[]>(name: string, help: string, labels: L) =>
      new CounterFamily(registry, `baton_${name}`, help, labels)
    this.requests = family('requests_total', 'Request heads read, by pool.', ['listener', 'pool'])
    this.rejected = family(
      'rejected_total',
      'Requests and connections that the frontend ended itself, by status or TLS alert, or by code where it said nothing.',
      ['status'],
    )
    this.handoffs = family('handoffs_total', 'Offers settled, by result.', ['result'])
    this.refusals = family('handoff_refusals_total', 'Offers that agents refused, by code.', ['code'])
    this.relayed = family('relayed_total', 'Connections relayed instead of handed over.', ['reason'])
    this.returned = family('returned_total', 'Connections that agents gave back, by result.', ['result'])
    this.failovers = family('failovers_total', 'Flows unknown here and looked up, by result.', ['result'])
    this.lostEnds = family(
      'flows_found_over_total',
      'Silent flows that were over, though no agent had told.',
      [],
    )
    this.closed = family('closed_total', 'Handed-over connections that ended, by cause.', ['cause'])
    this.bytes = family('handed_over_bytes_total', 'Bytes of ended handed-over connections.', ['direction'])
    this.phases = new HistogramFamily(
      registry,
      'baton_handoff_phase_seconds',
      'Time by phase of a handoff.',
      'phase',
    )
    for (const result of ['adopted', 'refused', 'lost']) this.handoffs.child(result)
    this.failovers.child('steered')
    this.#readAtScrape()
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_EVERY_MS })
  }

  #readAtScrape(): void {
    const { registry } = this
    const sources = this.#sources
    readCounter(
      registry,
      'baton_connections_accepted_total',
      'Connections accepted.',
      () => sources.accepted?.() ?? 0,
    )
    readGauges(registry, 'baton_flows', 'Entries of the flow table, by state.', 'state', () =>
      Object.entries(sources.flows?.() ?? {}),
    )
    readCounter(
      registry,
      'baton_steered_packets_total',
      'Packets steered in the kernel.',
      () => sources.steered?.().packets ?? 0,
    )
    readCounter(registry, 'baton_steered_bytes_total', 'Their bytes.', () => sources.steered?.().bytes ?? 0)
    readCounter(
      registry,
      'baton_flows_proven_total',
      'Parked flows that went on before ADOPTED was here: their clients had acknowledged an answer.',
      () => sources.steered?.().proven ?? 0,
    )
    readCounter(registry, 'baton_parked_frames_total', 'Frames parked.', () => sources.parked?.().frames ?? 0)
    readCounter(
      registry,
      'baton_parked_dropped_total',
      'Frames lost while parked.',
      () => sources.parked?.().dropped ?? 0,
    )
    readGauge(registry, 'baton_offers_in_flight', 'Offers without an answer.', () =>
      sources.offersInFlight?.(),
    )
    readGauges(registry, 'baton_connections', 'Connections that this process holds, by state.', 'state', () =>
      Object.entries(sources.connections?.() ?? {}),
    )
    channelMetrics(registry, 'agent', () => sources.channels?.() ?? [])
    registryMetrics(registry, () => sources.registry?.())
  }

  /** The body of GET /metrics; `contentType` goes with it. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  get contentType(): string {
    return this.registry.contentType
  }
}
