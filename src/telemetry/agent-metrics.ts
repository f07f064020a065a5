import { collectDefaultMetrics, Registry } from 'prom-client'
import { CounterFamily } from './counter-family.js'
import { channelMetrics, LOOP_DELAY_EVERY_MS, readGauge, registryMetrics } from './gauges.js'
import { HistogramFamily } from './histogram-family.js'
import type { ChannelSample, RegistrySample } from './sources.js'

/** What is read from the agent's parts when somebody scrapes; what is left out reads as nothing. */
export interface AgentSources {
  /** Adopted connections that are open. */
  active?(): number
  /** Offers that it takes at once, now. */
  capacity?(): number
  channels?(): readonly ChannelSample[]
  registry?(): RegistrySample
}

/** Every metric of an agent, in a prom-client registry of its own. */
export class AgentMetrics {
  readonly registry = new Registry()
  readonly adopted
  /** Offers refused, by the code that the giver was told. */
  readonly refused
  /** Connections that deliver.fallback served because they could not be adopted, by code. */
  readonly fallback
  /** Adopted connections that ended, by cause. */
  readonly closed
  /** Requests answered, by class of status: 2xx to 5xx, or unknown where none was sent. */
  readonly requests
  /** Bytes of adopted connections; direction: in is from the client. */
  readonly bytes
  /** Connections given back because the next request belongs elsewhere: moved, kept, failed. */
  readonly returns
  /** Requests for another pool that were relayed from here, by reason. */
  readonly relayed
  /** Seconds by phase: restore, deliver. */
  readonly phases

  constructor(sources: AgentSources = {}) {
    const { registry } = this
    const family = <const L extends readonly string[]>(name: string, help: string, labels: L) =>
      new CounterFamily(registry, `baton_agent_${name}`, help, labels)
    this.adopted = family('adopted_total', 'Connections adopted.', [])
    this.refused = family('refused_total', 'Offers refused, by code.', ['code'])
    this.fallback = family(
      'fallback_total',
      'Connections that the fallback of deliver.kind adopt served, by the code of what spoke against it.',
      ['code'],
    )
    this.closed = family('closed_total', 'Adopted connections that ended, by cause.', ['cause'])
    this.requests = family('requests_total', 'Requests answered, by class of status.', ['status'])
    this.bytes = family('bytes_total', 'Bytes of adopted connections.', ['direction'])
    this.returns = family('returns_total', 'Connections given back, by result.', ['result'])
    this.relayed = family('relayed_total', 'Requests for other pools relayed from here.', ['reason'])
    this.phases = new HistogramFamily(
      registry,
      'baton_agent_phase_seconds',
      'Time by phase of an adoption.',
      'phase',
    )
    readGauge(registry, 'baton_agent_active_connections', 'Adopted connections that are open.', () =>
      sources.active?.(),
    )
    readGauge(registry, 'baton_agent_capacity', 'Offers taken at once, now.', () => sources.capacity?.())
    channelMetrics(registry, 'frontend', () => sources.channels?.() ?? [])
    registryMetrics(registry, () => sources.registry?.())
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_DELAY_EVERY_MS })
  }

  /** The body of GET /metrics; `contentType` goes with it. */
  text(): Promise<string> {
    return this.registry.metrics()
  }

  get contentType(): string {
    return this.registry.contentType
  }
}
