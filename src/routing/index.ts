export { MAX_ROUTES_BYTES, parseRoutes, type RoutesDocument } from './document.js'
export { compileRoutes, type RouteHit, type RouteTable } from './table.js'
export { compileTcpRoutes, type TcpRouteTable } from './tcp-table.js'
export { compileTlsRoutes, type TlsRouteTable } from './tls-table.js'
