import type { FrontendConfig, SteeringConfig } from '../config/index.js'
import type { FlowKey } from '../kernel/flow.js'
import { openSteering, type Steering } from '../steering/index.js'
import type { Logger } from '../telemetry/index.js'

/** The flow table of this frontend's listeners. @throws BatonError of steering */
export function openFlowTable(
  { listeners, registry }: FrontendConfig,
  steering: SteeringConfig,
  logger: Logger,
  onUnknown: (key: FlowKey) => void,
): Steering {
  return openSteering({
    ...steering,
    // Without a registry to ask, a flow that is unknown here is nobody's.
    unknown: registry.kind === 'redis' ? 'park' : 'pass',
    listeners: listeners.map(({ address }) => address),
    onUnknown,
    logger,
  })
}
