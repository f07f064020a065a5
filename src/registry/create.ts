import type { RegistryConfig } from '../config/index.js'
import { MemoryRegistry } from './memory.js'
import { RedisRegistry } from './redis.js'
import type { BackendRecord, Registry, RegistryLogger } from './registry.js'

export interface RegistryOptions {
  /** Known from the configuration file (configuredBackends). Default none. */
  readonly backends?: readonly BackendRecord[]
  /** Takes one line for every change of state. Default: silent. */
  readonly logger?: RegistryLogger
  /** Keeps the list of backends up to date; an agent has no use for it. Default true. */
  readonly watch?: boolean
}

const silent: RegistryLogger = { info: () => {}, warn: () => {} }

/** The registry that the configuration asks for; not connected before start(). */
export function createRegistry(config: RegistryConfig, options: RegistryOptions = {}): Registry {
  const { backends = [], logger = silent, watch = true } = options
  switch (config.kind) {
    case 'memory':
      return new MemoryRegistry(backends)
    case 'redis':
      return new RedisRegistry(config, { backends, logger, watch })
    default:
      throw new TypeError(config satisfies never)
  }
}
