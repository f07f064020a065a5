import type { RegistryConfig } from '../config/index.js'
import { MemoryRegistry } from './memory.js'
import type { BackendRecord, Registry } from './registry.js'

export interface RegistryOptions {
  /** Known from the configuration file (configuredBackends). Default none. */
  readonly backends?: readonly BackendRecord[]
  /** Takes one line for every change of state. Default: silent. */
  readonly logger?: RegistryLogger
  /** Keeps the list of backends up to date; an agent has no use for it. Default true. */
  readonly watch?: boolean
}

/** The part of a pino logger that a registry uses. */
export interface RegistryLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** The registry that the configuration asks for. */
export function createRegistry(_config: RegistryConfig, options: RegistryOptions = {}): Registry {
  return new MemoryRegistry(options.backends ?? [])
}
