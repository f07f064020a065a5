export { MAX_ROUTES_BYTES, parseRoutes, type RoutesDocument } from './document.js'
export { compileRoutes, type RouteHit, type RouteTable } from './table.js'
