import { type FrontendConfig, version } from '../config/index.js'
import type { GateStats } from '../gate/index.js'
import type { Giver } from '../handoff/index.js'
import { endpointText, parseFlowKey } from '../kernel/flow.js'
import type { Registry } from '../registry/index.js'
import type { Steering } from '../steering/index.js'
import { FrontendMetrics } from '../telemetry/index.js'
import type { Backend } from './backend.js'
import type { Backends } from './backends.js'
import type { Given } from './connection.js'
import type { Failover } from './failover.js'
import type { BackendStatus, FlowStatus, FrontendStatus } from './status.js'

/** How long /readyz waits for the configured agents after the start, in ms. */
const READY_GRACE_MS = 2000

/** The parts that are looked at. */
export interface ReportSources {
  readonly config: FrontendConfig
  readonly gate: { readonly stats: GateStats }
  readonly giver: Giver<Given>
  readonly backends: Backends
  /** Connections that are relayed now. */
  relayed(): number
  readonly registry: Registry
  steering(): Steering | undefined
  failover(): Failover | undefined
}

/** What the frontend says about itself: metrics, status, flows. The sources are read when somebody asks. */
export class Report {
  readonly metrics: FrontendMetrics
  readonly startedAt = new Date()
  readonly #sources: () => ReportSources

  constructor(sources: () => ReportSources) {
    this.#sources = sources
    this.metrics = this.#createMetrics()
  }

  #createMetrics(): FrontendMetrics {
    return new FrontendMetrics({
      accepted: () => this.#sources().gate.stats.accepted,
      flows: () => this.#flowStates(),
      steered: () => {
        const stats = this.#sources().steering()?.stats()
        return {
          packets: stats?.steeredPackets ?? 0,
          bytes: stats?.steeredBytes ?? 0,
          proven: stats?.provenFlows ?? 0,
        }
      },
      parked: () => {
        const stats = this.#sources().steering()?.stats()
        return { frames: stats?.playedFrames ?? 0, dropped: stats?.parkedDropped ?? 0 }
      },
      channels: () =>
        [...this.#sources().backends.all()]
          .filter((backend) => backend.link !== undefined)
          .map(({ id, channel }) => ({ peer: id, up: channel !== undefined, rttMs: channel?.rttMs ?? null })),
      offersInFlight: () => this.#sources().giver.inFlight,
      connections: () => ({
        pending: this.#sources().gate.stats.pending,
        relayed: this.#sources().relayed(),
      }),
      registry: () => this.#sources().registry.status(),
    })
  }

  #flowStates(): Record<string, number> {
    const stats = this.#sources().steering()?.stats()
    if (stats === undefined) return {}
    return {
      live: Math.max(0, stats.flows - stats.lingering),
      linger: Math.min(stats.flows, stats.lingering),
    }
  }

  /**
   * What /readyz waits for: each agent was reached once or has had its time, since a dead backend must not keep a
   * frontend down.
   */
  waitingFor(): string | undefined {
    if (Date.now() - this.startedAt.getTime() > READY_GRACE_MS) return undefined
    const missing = [...this.#sources().backends.all()].filter(
      ({ link, channel }) => link !== undefined && channel === undefined,
    )
    return missing.length === 0 ? undefined : `waiting for agents: ${missing.map(({ id }) => id).join(', ')}`
  }

  /** What GET /metrics answers. */
  async prometheus(): Promise<{ text: string; contentType: string }> {
    return { text: await this.metrics.text(), contentType: this.metrics.contentType }
  }

  /** The flow table's first entries. */
  flows(limit: number): FlowStatus[] {
    const found: FlowStatus[] = []
    for (const [key, { state, id, nextHop, packets, bytes }] of this.#sources().steering()?.entries() ?? []) {
      if (found.length >= limit) break
      const { client, vip } = parseFlowKey(key)
      const ends = { client: endpointText(client), vip: endpointText(vip) }
      found.push({ ...ends, state, handoffId: id, nextHop, packets, bytes })
    }
    return found
  }

  /** What GET /v1/status answers. */
  status(): FrontendStatus {
    const { handoffs, returned, relayed, rejected, failovers } = this.metrics
    const settled = handoffs.totals()
    const lookups = failovers.totals()
    return {
      role: 'frontend',
      id: this.#sources().config.id,
      version,
      startedAt: this.startedAt.toISOString(),
      uptimeSeconds: (Date.now() - this.startedAt.getTime()) / 1000,
      listeners: this.#sources().config.listeners.map(({ name, address, protocol, proxyProtocol }) => ({
        name,
        address: endpointText(address),
        protocol,
        proxyProtocol: proxyProtocol !== undefined,
      })),
      connections: {
        accepted: this.#sources().gate.stats.accepted,
        relayedNow: this.#sources().relayed(),
      },
      handoffs: {
        adopted: settled.adopted ?? 0,
        refused: settled.refused ?? 0,
        lost: settled.lost ?? 0,
        inFlight: this.#sources().giver.inFlight,
        returned: returned.totals().taken ?? 0,
      },
      failovers: {
        steered: lookups.steered ?? 0,
        unknown: lookups.unknown ?? 0,
        gone: lookups.gone ?? 0,
        unreachable: lookups.unreachable ?? 0,
        unanswered: lookups.unanswered ?? 0,
        waiting: this.#sources().failover()?.waiting ?? 0,
      },
      relays: relayed.totals(),
      rejected: rejected.totals(),
      flows: this.#flowStates(),
      backends: [...this.#sources().backends.all()].map(backendStatus),
      registry: this.#sources().registry.status(),
    }
  }
}

function backendStatus(backend: Backend): BackendStatus {
  const { id, record, active, inFlight, relayed, channel, unavailable } = backend
  return {
    id,
    pools: record.pools,
    agent: record.agent === null ? null : endpointText(record.agent),
    address: record.address === null ? null : endpointText(record.address),
    weight: record.weight,
    state: unavailable === undefined ? 'up' : states[unavailable],
    active,
    inFlight,
    relayed,
    rttMs: channel?.rttMs ?? null,
  }
}

const states = {
  no_agent: 'relay',
  agent_down: 'down',
  agent_draining: 'draining',
  agent_full: 'full',
} as const
