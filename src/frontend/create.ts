import type { FrontendConfig } from '../config/index.js'
import { Frontend } from './frontend.js'
import { type FrontendOptions, frontendConfig } from './options.js'

/**
 * A frontend inside a program of one's own, with the settings of frontend.yaml.
 *
 * ```js
 * const frontend = createFrontend({
 *   listeners: [{ name: 'web', address: '10.0.0.100:80' }],
 *   routes: [{ match: {}, pool: 'web' }],
 *   pools: { web: { backends: [{ id: 'web-1', agent: '10.0.0.11:7400' }] } },
 *   steering: { interface: 'eth0' },
 *   control: { tokenFile: '/etc/baton/token' },
 * })
 * await frontend.start()
 * process.once('SIGTERM', () => frontend.close())
 * ```
 *
 * Needs CAP_NET_ADMIN and CAP_BPF where it hands over.
 * @throws BatonError BATON_CONFIG_INVALID with every mistake in the options, BATON_CONFIG_SECRET, BATON_ACCESS_LOG
 */
export function createFrontend(options: FrontendOptions): Frontend {
  const { config, protocols } = frontendConfig(options)
  return new Frontend(config, protocols)
}

/** The frontend of a checked frontend.yaml. @throws BatonError BATON_CONFIG_SECRET, BATON_ACCESS_LOG */
export function frontendFromConfig(config: FrontendConfig): Frontend {
  return new Frontend(config, new Map())
}
