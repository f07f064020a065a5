import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import { listenError } from '../errors/index.js'
import type { Endpoint } from '../kernel/flow.js'
import type { AgentMetrics } from '../telemetry/index.js'
import type { AgentStatus } from './status.js'

export interface AdminOptions {
  readonly address: Endpoint
  readonly metrics: AgentMetrics
  status(): AgentStatus
}

export interface AdminServer {
  /** Where it listens. */
  readonly address: Endpoint
  close(): Promise<void>
}

/**
 * Serves /metrics, /healthz (the process is there), /readyz (it takes connections) and /v1/status.
 * @throws BatonError BATON_LISTEN
 */
export async function startAdmin(options: AdminOptions): Promise<AdminServer> {
  const { metrics, status, address } = options
  const server = fastify({ logger: false, forceCloseConnections: true })
  server.get('/metrics', async (_request, reply) => {
    reply.header('content-type', metrics.contentType)
    return metrics.text()
  })
  server.get('/healthz', async () => ({ ok: true }))
  server.get('/readyz', async (_request, reply) => {
    const { state } = status()
    return reply.code(state === 'running' ? 200 : 503).send({ ok: state === 'running', state })
  })
  server.get('/v1/status', async () => status())
  try {
    await server.listen({ host: address.address, port: address.port })
  } catch (cause) {
    throw listenError('admin.address', cause)
  }
  const bound = server.server.address() as AddressInfo
  return {
    address: { address: address.address, port: bound.port },
    async close() {
      await server.close()
    },
  }
}
