import type { AccessRecord } from '../telemetry/index.js'
import type { FrontendState } from './status.js'

/** What a Frontend tells its program, by `on()` and `once()`; a listener costs nothing where there is none. */
export interface FrontendEvents {
  state: [state: FrontendState]
  /** An agent's control channel is up, or lost. */
  agent: [agent: { readonly id: string; readonly up: boolean }]
  /** One line of the access log: a connection that was handed over, a relayed request, or a refusal, when it is over. */
  access: [record: AccessRecord]
}
