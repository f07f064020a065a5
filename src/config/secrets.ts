import { readFileSync, statSync } from 'node:fs'
import { BatonError } from '../errors/index.js'
import type { KeyPath, Reporter } from './problems.js'
import { type RedisTarget, readRedisUrl } from './redis-url.js'
import type { ControlConfig } from './types.js'

/** Fewer can be guessed. */
export const MIN_TOKEN_CHARS = 32
const MAX_SECRET_BYTES = 1 << 20

const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002

/** Reads a small file of the operator's. @throws BatonError BATON_CONFIG_SECRET */
export function readSecretFile(path: string): Buffer {
  try {
    const { size } = statSync(path)
    if (size > MAX_SECRET_BYTES) throw new RangeError(`${size} bytes are more than ${MAX_SECRET_BYTES}`)
    return readFileSync(path)
  } catch (cause) {
    throw new BatonError('BATON_CONFIG_SECRET', { detail: `${path}: ${reason(cause)}`, cause })
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The token of a file's bytes, without the newline at its end; a string in `mistake` where it is none. */
export function readToken(bytes: Buffer): { token: string } | { mistake: string } {
  const token = bytes.toString('latin1').replace(/\r?\n$/, '')
  if (token.length < MIN_TOKEN_CHARS) {
    return { mistake: `the token has ${token.length} characters, expected at least ${MIN_TOKEN_CHARS}` }
  }
  if (!/^[A-Za-z0-9._~+/=-]+$/.test(token)) {
    return {
      mistake:
        'the token holds a character outside A-Z a-z 0-9 . _ ~ + / = -; expected one line such as openssl rand -hex 32 makes',
    }
  }
  return { token }
}

/** Looks at the files that `control` names, as `baton check` and every start do. */
export function checkControlFiles(control: ControlConfig, report: Reporter): void {
  if ('tokenFile' in control) {
    const bytes = checkFile(control.tokenFile, ['control', 'tokenFile'], true, report)
    const read = bytes === undefined ? undefined : readToken(bytes)
    if (read !== undefined && 'mistake' in read)
      report.error(['control', 'tokenFile'], `${control.tokenFile}: ${read.mistake}`)
    return
  }
  for (const key of ['certFile', 'keyFile', 'caFile'] as const) {
    const path = control.tls[key]
    const bytes = checkFile(path, ['control', 'tls', key], key === 'keyFile', report)
    const wanted = key === 'keyFile' ? /-----BEGIN [A-Z ]*PRIVATE KEY-----/ : /-----BEGIN CERTIFICATE-----/
    if (bytes !== undefined && !wanted.test(bytes.toString('latin1'))) {
      report.error(
        ['control', 'tls', key],
        `${path} holds no PEM ${key === 'keyFile' ? 'private key' : 'certificate'}`,
      )
    }
  }
}

/** The bytes of a file that is there; complains when others may read a secret one, or write any. */
function checkFile(path: string, at: KeyPath, secret: boolean, report: Reporter): Buffer | undefined {
  let bytes: Buffer
  let mode: number
  try {
    bytes = readSecretFile(path)
    mode = statSync(path).mode
  } catch (error) {
    report.error(at, reason(error instanceof BatonError ? error.cause : error))
    return undefined
  }
  if ((mode & OTHERS_WRITE) !== 0) report.error(at, `everybody may write ${path}; chmod o-rwx ${path}`)
  else if (secret && (mode & OTHERS_READ) !== 0) {
    report.warning(at, `everybody on this host may read ${path}; chmod 600 ${path}`)
  }
  return bytes
}

/** Where Redis is: `${NAME}` from the environment, or a file. Secrets stay out of the messages. */
export function readRedisTarget(
  registry: { readonly url: string } | { readonly urlFile: string },
  environment: NodeJS.ProcessEnv,
  report: Reporter,
): RedisTarget | undefined {
  const inFile = 'urlFile' in registry
  const at = ['registry', inFile ? 'urlFile' : 'url']
  let url: string
  if (inFile) {
    const bytes = checkFile(registry.urlFile, at, true, report)
    if (bytes === undefined) return undefined
    url = bytes.toString().trim()
  } else {
    const missing = new Set<string>()
    url = registry.url.replace(/\$\{([^}]*)\}/g, (_, name: string) => {
      const value = environment[name]
      if (value === undefined || value === '') missing.add(name)
      return value ?? ''
    })
    if (missing.size > 0) {
      report.error(at, `${[...missing].map((name) => `\${${name}}`).join(', ')} is not in the environment`)
      return undefined
    }
  }
  const target = readRedisUrl(url)
  if (typeof target !== 'string') return target
  // Without a substitution the format of the schema has said so already.
  report.error(
    at,
    inFile || registry.url.includes('${')
      ? 'does not hold a Redis URL (its text is kept out of this message)'
      : target,
  )
  return undefined
}
