import { type TSchema, Type } from '@sinclair/typebox'
import type { Endpoint } from './endpoint.js'
import type { Network } from './network.js'

/**
 * The pieces that both kinds of file are made of. Every key has a `description`: docs/configuration.md and the
 * published JSON Schemas are made from it. A key with a default may be left out.
 */

/** Formats beyond JSON Schema that shape.ts knows; `examples` serve its messages. */
export const nameOptions = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
  expects: '1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit',
}

export const name = (description: string, options: object = {}) =>
  Type.String({ ...nameOptions, description, ...options })

/** `ADDRESS:PORT` in the file, an Endpoint in the program. */
export const endpoint = (description: string, options: { default?: string; anyPort?: boolean } = {}) =>
  Type.Unsafe<Endpoint>({
    type: 'string',
    format: options.anyPort ? 'ip-endpoint-any-port' : 'ip-endpoint',
    description,
    ...(options.default === undefined ? {} : { default: options.default }),
  })

/** `10.0.0.0/8` or an address in the file, a Network in the program. */
export const network = (description: string) =>
  Type.Unsafe<Network>({ type: 'string', format: 'ip-network', description })

/** What a connection to an application begins with, so that it knows its client. */
export const proxyProtocol = (description: string) =>
  oneOf(['off', 'v1', 'v2'], { description, default: 'off' })

/** A path; a relative one counts from the folder of the configuration file. */
export const file = (description: string, options: object = {}) =>
  Type.String({ format: 'file', minLength: 1, description, ...options })

/** A whole number with its unit in the key's name. */
export const count = (description: string, fallback: number, minimum: number, maximum: number) =>
  Type.Integer({ description, default: fallback, minimum, maximum })

export const oneOf = <const T extends readonly string[]>(
  values: T,
  options: {
    description: string
    default?: T[number]
    notYet?: Readonly<Record<string, string>>
    programOnly?: readonly T[number][]
  },
) => Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })

/** An object whose keys are all known; with `true`, one that may be left out since each key has a default. */
export const group = <T extends Record<string, TSchema>>(
  properties: T,
  description: string,
  whole: boolean | { programOnly: true } = false,
) =>
  Type.Object(properties, {
    additionalProperties: false,
    description,
    ...(whole === true ? { default: {} } : whole),
  })

const tokenFile = file(
  'File that holds the shared token: at least 32 characters on one line, readable by this program alone. For one trusted segment.',
)
const tls = group(
  {
    certFile: file('Own certificate with its chain, PEM.'),
    keyFile: file('Its private key, PEM.'),
    caFile: file(
      'Certificates that sign the peers, PEM. Only peers with a certificate from here are let in.',
    ),
  },
  'Mutual TLS on the control channel.',
)

/** How frontends and agents know each other: exactly one of tokenFile and tls. */
export const control = <T extends Record<string, TSchema>>(extra: T) =>
  Type.Union([group({ ...extra, tokenFile }, 'A shared token.'), group({ ...extra, tls }, 'Mutual TLS.')], {
    description:
      'How frontends and agents prove to each other who they are: exactly one of tokenFile and tls.',
  })

const keyPrefix = Type.String({
  description: 'Begins every key and channel; two installations may share one Redis.',
  default: 'baton:',
  pattern: '^[A-Za-z0-9:._-]{1,64}$',
  expects: '1 to 64 letters, digits, or : . _ -',
})
const redisKind = Type.Literal('redis', { description: 'A Redis server, 6.2 or newer.' })

export const registry = Type.Union(
  [
    group(
      { kind: Type.Literal('memory', { description: 'What this file says; no server to run.' }) },
      'This file.',
    ),
    group(
      {
        kind: redisKind,
        url: Type.String({
          description:
            'redis://[user:password@]host[:6379][/db], rediss:// for TLS, redis+sentinel://host,host/master, redis+cluster://host,host. A NAME in braces after a dollar sign is taken from the environment.',
          format: 'redis-url',
        }),
        keyPrefix,
      },
      'Redis by its URL.',
    ),
    group(
      {
        kind: redisKind,
        urlFile: file('File that holds the URL, so that the password is not in this file.'),
        keyPrefix,
      },
      'Redis by a URL in a file of its own.',
    ),
  ],
  { default: { kind: 'memory' }, description: 'Who is there and who holds what.' },
)

export const admin = (fallback: string) =>
  group(
    {
      address: endpoint('Where /metrics, /healthz, /readyz and /v1/… are served. Not for the public.', {
        default: fallback,
        anyPort: true,
      }),
    },
    'The administration server.',
    true,
  )

export const logLevel = oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
  description: 'The least severe line that is written, to standard error, as JSON.',
  default: 'info',
})
