import { isAbsolute, resolve } from 'node:path'
import { isAddress, isEndpoint, readEndpoint } from './endpoint.js'
import { readNetwork } from './network.js'
import { readRedisUrl } from './redis-url.js'
import { alpnMistake, pathMistake, readHostPattern, readKeyPattern, readSniPattern } from './route-pattern.js'

/** What a text turned out to be: its value in the program, or what is wrong with it. */
export type FormatResult = { readonly value: unknown } | { readonly mistake: string }

const ENDPOINT = 'expected an IP address and port such as 10.0.0.1:80 or "[fd00::1]:80"'

function endpoint(text: string, lowestPort: number): FormatResult {
  const read = readEndpoint(text)
  if (!isEndpoint(read)) return { mistake: `${read}; ${ENDPOINT}` }
  if (read.port < lowestPort) return { mistake: `port 0 cannot be connected to; ${ENDPOINT}` }
  return { value: read }
}

const absolute = (text: string, folder: string) => (isAbsolute(text) ? text : resolve(folder, text))

/** Formats of the schemas: each reads a text. `folder` is where relative paths begin. */
export const formats: Readonly<Record<string, (text: string, folder: string) => FormatResult>> = {
  'ip-endpoint': (text) => endpoint(text, 1),
  'ip-endpoint-any-port': (text) => endpoint(text, 0),
  'ip-address': (text) =>
    isAddress(text)
      ? { value: text }
      : { mistake: 'expected an IPv4 or IPv6 address without a port or zone' },
  'ip-network': (text) => {
    const read = readNetwork(text)
    return typeof read === 'string'
      ? { mistake: `${read}; expected one such as 10.0.0.0/8, fd00::/64 or 10.0.0.1` }
      : { value: read }
  },
  file: (text, folder) => ({ value: absolute(text, folder) }),
  'access-log': (text, folder) => ({ value: text === '-' || text === 'off' ? text : absolute(text, folder) }),
  'redis-url': (text) => {
    // With a ${NAME} in it, it can be judged only once the environment is known.
    const read = text.includes('${') ? undefined : readRedisUrl(text)
    return typeof read === 'string' ? { mistake: read } : { value: text }
  },
  'route-host': (text) => {
    const read = readHostPattern(text)
    return typeof read === 'string' ? { mistake: read } : { value: text }
  },
  'route-sni': (text) => {
    const read = readSniPattern(text)
    return typeof read === 'string' ? { mistake: read } : { value: text }
  },
  'route-key': (text) => {
    const read = readKeyPattern(text)
    return typeof read === 'string' ? { mistake: read } : { value: text }
  },
  'route-alpn': (text) => {
    const mistake = alpnMistake(text)
    return mistake === undefined ? { value: text } : { mistake }
  },
  'route-path': (text) => {
    const mistake = pathMistake(text)
    return mistake === undefined ? { value: text } : { mistake: `a path ${mistake}` }
  },
}

/** Formats whose texts may hold a secret and are not quoted in messages. */
export const secretFormats: ReadonlySet<string> = new Set(['redis-url'])
