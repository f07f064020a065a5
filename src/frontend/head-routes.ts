import {
  compileKeyRoutes,
  compileRoutes,
  compileTcpRoutes,
  compileTlsRoutes,
  type KeyRouteTable,
  type RouteHit,
  type RoutesDocument,
  type RouteTable,
  type TcpRouteTable,
  type TlsRouteTable,
} from '../routing/index.js'
import { type Head, isWhole } from './head.js'

/** The routes for whatever kind of head a connection shows. */
export class HeadRoutes {
  /** Of requests, for those that follow on a connection too. */
  readonly requests: RouteTable
  readonly #tls: TlsRouteTable
  readonly #tcp: TcpRouteTable
  readonly #keys: KeyRouteTable

  /** @throws BatonError BATON_ROUTES_INVALID */
  constructor(document: RoutesDocument) {
    this.requests = compileRoutes(document)
    this.#tls = compileTlsRoutes(document)
    this.#tcp = compileTcpRoutes(document)
    this.#keys = compileKeyRoutes(document)
  }

  match(head: Head, listener: string): RouteHit | undefined {
    if (!isWhole(head)) return this.requests.match(head.host, head.path)
    switch (head.kind) {
      case 'tls':
        return this.#tls.match(head.sni, head.alpn)
      case 'tcp':
        return this.#tcp.match(listener)
      case 'custom':
        return this.#keys.match(head.key)
      default:
        return head satisfies never
    }
  }
}
