import { type Channel, type Closed, ClosedQueue } from '../handoff/index.js'
import type { Logger } from '../telemetry/index.js'
import { RouteView } from './route-view.js'

/** A frontend that has been here, or gave a connection to a process before this one, whether its channel is up or not. */
export interface Frontend {
  readonly id: string
  channel: Channel | undefined
  /** Its last ROUTES; undefined before the first. */
  routes: RouteView | undefined
  /** CLOSED records for it. */
  readonly records: ClosedQueue
}

/** The frontends that dialled this agent, by id, and what each is to be told. */
export class Frontends {
  readonly #byId = new Map<string, Frontend>()
  readonly #ownPools: ReadonlySet<string>
  readonly #logger: Logger

  constructor(ownPools: ReadonlySet<string>, logger: Logger) {
    this.#ownPools = ownPools
    this.#logger = logger
  }

  all(): Frontend[] {
    return [...this.#byId.values()]
  }

  get(id: string): Frontend | undefined {
    return this.#byId.get(id)
  }

  up(channel: Channel): Frontend {
    const frontend = this.#known(channel.peer.id)
    frontend.channel = channel
    frontend.records.attach(channel)
    return frontend
  }

  down(channel: Channel): void {
    const frontend = this.#byId.get(channel.peer.id)
    if (frontend === undefined) return
    frontend.records.detach(channel)
    if (frontend.channel === channel) frontend.channel = undefined
  }

  /** ROUTES came. Routes that cannot be read leave the earlier ones in force. */
  setRoutes(frontend: Frontend, json: string): void {
    try {
      frontend.routes = new RouteView(json, this.#ownPools)
      this.#logger.info({ frontend: frontend.id, version: frontend.routes.version }, 'routes received')
    } catch (error) {
      this.#logger.error({ err: error, frontend: frontend.id }, 'the routes of a frontend cannot be read')
    }
  }

  /** Sends a record now, or when the frontend is there again; also one that this process has not met yet. */
  tell(frontendId: string, record: Closed): void {
    this.#known(frontendId).records.push(record)
  }

  #known(id: string): Frontend {
    let frontend = this.#byId.get(id)
    if (frontend === undefined) {
      frontend = { id, channel: undefined, routes: undefined, records: new ClosedQueue() }
      this.#byId.set(id, frontend)
    }
    return frontend
  }
}
