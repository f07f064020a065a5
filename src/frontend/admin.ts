import fastify, { type FastifyInstance } from 'fastify'
import { listenError } from '../errors/index.js'
import type { Endpoint } from '../kernel/flow.js'
import type { FlowStatus, FrontendStatus } from './status.js'

const DEFAULT_FLOWS = 100
const flowLimit = { type: 'integer', minimum: 1, maximum: 10_000 }

export interface AdminOptions {
  readonly address: Endpoint
  /** The Prometheus text and its content type. */
  metrics(): Promise<{ text: string; contentType: string }>
  status(): FrontendStatus
  /** The flow table's first entries. */
  flows(limit: number): readonly FlowStatus[]
  /** Undefined when it can serve, or why it cannot. */
  unready(): string | undefined
  reopenLogs(): void
}

/**
 * The administration server, not for the public: GET /metrics, /healthz (the process answers), /readyz (it can serve:
 * 200, or 503 with the reason), /v1/status, /v1/flows?limit=100; POST /v1/logs/reopen after the access log was moved.
 */
export class Admin {
  readonly #server: FastifyInstance
  #address: Endpoint

  constructor(options: AdminOptions) {
    this.#address = options.address
    this.#server = fastify({ logger: false, bodyLimit: 65_536, forceCloseConnections: true })
    this.#server.get('/metrics', async (_request, reply) => {
      const { text, contentType } = await options.metrics()
      return reply.header('content-type', contentType).send(text)
    })
    this.#server.get('/healthz', async () => ({ ok: true }))
    this.#server.get('/readyz', async (_request, reply) => {
      const reason = options.unready()
      return reply.code(reason === undefined ? 200 : 503).send({ ok: reason === undefined, reason })
    })
    this.#server.get('/v1/status', async () => options.status())
    this.#server.get<{ Querystring: { limit?: number } }>(
      '/v1/flows',
      {
        schema: {
          querystring: { type: 'object', properties: { limit: flowLimit }, additionalProperties: false },
        },
      },
      async (request) => options.flows(request.query.limit ?? DEFAULT_FLOWS),
    )
    this.#server.post('/v1/logs/reopen', async () => {
      options.reopenLogs()
      return { ok: true }
    })
  }

  /** Where it listens; before {@link listen} as configured. */
  get address(): Endpoint {
    return this.#address
  }

  /** @throws BatonError BATON_LISTEN */
  async listen(): Promise<void> {
    try {
      await this.#server.listen({ host: this.#address.address, port: this.#address.port })
    } catch (cause) {
      throw listenError('admin.address', cause)
    }
    const bound = this.#server.server.address()
    if (typeof bound === 'object' && bound !== null) this.#address = { ...this.#address, port: bound.port }
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}
