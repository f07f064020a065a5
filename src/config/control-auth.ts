import { BatonError } from '../errors/index.js'
import { readSecretFile, readToken } from './secrets.js'
import type { ControlConfig } from './types.js'

/** What proves to the other side of the control channel who we are. Never logged. */
export type ControlAuth =
  | { readonly kind: 'token'; readonly token: string }
  /** PEM. Peers must show a certificate signed by `ca`. */
  | { readonly kind: 'tls'; readonly cert: string; readonly key: string; readonly ca: string }

/**
 * Reads the files that `control` names; again whenever it is called, so that secrets can be replaced.
 * @throws BatonError BATON_CONFIG_SECRET when one cannot be read or is no token
 */
export function loadControlAuth(control: ControlConfig): ControlAuth {
  if ('tls' in control) {
    const { certFile, keyFile, caFile } = control.tls
    return {
      kind: 'tls',
      cert: readSecretFile(certFile).toString(),
      key: readSecretFile(keyFile).toString(),
      ca: readSecretFile(caFile).toString(),
    }
  }
  const read = readToken(readSecretFile(control.tokenFile))
  if ('token' in read) return { kind: 'token', token: read.token }
  throw new BatonError('BATON_CONFIG_SECRET', { detail: `${control.tokenFile}: ${read.mistake}.` })
}
