/** Where Redis is, read from a URL. Holds the password: never logged. */
export interface RedisTarget {
  readonly mode: 'single' | 'sentinel' | 'cluster'
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  /** 0 in a cluster. */
  readonly db: number
  /** The name of the monitored master; sentinel only. */
  readonly master: string | undefined
}

const SCHEMES: Readonly<Record<string, Pick<RedisTarget, 'mode' | 'tls'>>> = {
  redis: { mode: 'single', tls: false },
  rediss: { mode: 'single', tls: true },
  'redis+sentinel': { mode: 'sentinel', tls: false },
  'rediss+sentinel': { mode: 'sentinel', tls: true },
  'redis+cluster': { mode: 'cluster', tls: false },
  'rediss+cluster': { mode: 'cluster', tls: true },
}

/**
 * Reads a Redis URL; a string says what is wrong with it, without quoting the password.
 *
 * - `redis://[user:password@]host[:6379][/db]`, `rediss://` over TLS
 * - `redis+sentinel://[user:password@]host[:26379],host…/master[/db]`
 * - `redis+cluster://[user:password@]host[:6379],host…`
 *
 * User and password are percent-decoded.
 */
export function readRedisUrl(url: string): RedisTarget | string {
  const parts = /^([a-z+]+):\/\/(?:([^@/]*)@)?([^/?#@]+)(\/[^?#]*)?$/.exec(url)
  if (parts === null) return 'is not redis://[user:password@]host[:port][/db]'
  const [, schemeName = '', userinfo, hosts = '', path = ''] = parts
  const scheme = Object.hasOwn(SCHEMES, schemeName) ? SCHEMES[schemeName] : undefined
  if (scheme === undefined) return `scheme "${schemeName}" is none of ${Object.keys(SCHEMES).join(', ')}`
  const credentials = readCredentials(userinfo)
  if (typeof credentials === 'string') return credentials
  const nodes: { host: string; port: number }[] = []
  for (const text of hosts.split(',')) {
    const node = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text)
    if (node === null) return `"${text}" is not host or host:port`
    const port = Number(node[3] ?? (scheme.mode === 'sentinel' ? 26379 : 6379))
    if (port < 1 || port > 65535) return `"${text}" has no port between 1 and 65535`
    nodes.push({ host: node[1] ?? node[2] ?? '', port })
  }
  if (scheme.mode === 'single' && nodes.length > 1) {
    return 'names several hosts; redis+sentinel:// or redis+cluster:// take them'
  }
  const steps = path.split('/').filter((step) => step !== '')
  const master = scheme.mode === 'sentinel' ? steps.shift() : undefined
  if (scheme.mode === 'sentinel' && master === undefined)
    return 'lacks the master name: redis+sentinel://host/MASTER'
  const db = steps.shift() ?? '0'
  if (!/^\d{1,4}$/.test(db) || steps.length > 0) return `path "${path}" does not end in a database number`
  if (scheme.mode === 'cluster' && db !== '0') return 'a cluster has database 0 only'
  return { ...scheme, nodes, ...credentials, db: Number(db), master }
}

function readCredentials(userinfo: string | undefined): Pick<RedisTarget, 'username' | 'password'> | string {
  if (userinfo === undefined) return { username: undefined, password: undefined }
  const colon = userinfo.indexOf(':')
  try {
    const username = decodeURIComponent(colon < 0 ? userinfo : userinfo.slice(0, colon))
    const password = colon < 0 ? undefined : decodeURIComponent(userinfo.slice(colon + 1))
    return { username: username === '' ? undefined : username, password }
  } catch {
    return 'user or password is not percent-encoded as it should be'
  }
}
