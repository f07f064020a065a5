import type { IncomingMessage } from 'node:http'
import { readAuthority, routePath } from '../gate/index.js'
import { originForm } from './headers.js'

/** Host and path of a request as the gate would have read them, for the routes; undefined when they are not valid. */
export function requestPlace(request: IncomingMessage): { host: string | null; path: string } | undefined {
  const target = request.url ?? ''
  const origin = target === '*' ? { path: '*', host: null } : originForm(target)
  if (origin === undefined) return undefined
  const authority = readAuthority(origin.host ?? request.headers.host ?? '')
  if (authority === undefined) return undefined
  if (origin.path === '*') return { host: authority.host, path: '*' }
  const query = origin.path.indexOf('?')
  const path = routePath(query < 0 ? origin.path : origin.path.slice(0, query))
  return path === undefined ? undefined : { host: authority.host, path }
}
