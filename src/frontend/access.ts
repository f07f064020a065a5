import type { FrontendConfig } from '../config/index.js'
import { AccessLog, type Logger } from '../telemetry/index.js'

/** @throws BatonError BATON_ACCESS_LOG */
export function openAccessLog(config: FrontendConfig['log'], logger: Logger): AccessLog {
  return new AccessLog({
    destination: config.accessLog,
    format: config.accessLogFormat,
    onTrouble: (error) =>
      logger.warn({ err: error }, error ? 'the access log loses lines' : 'the access log works again'),
  })
}
