export type { ProxyHeader, ProxyHeaderResult } from './header.js'
export { type Network, peerWithin } from './networks.js'
export { MAX_PROXY_HEADER_BYTES, readProxyHeader } from './read.js'
export { type ProxyVersion, writeProxyHeader } from './write.js'
