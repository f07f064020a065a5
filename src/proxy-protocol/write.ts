import type { FlowKey } from '../kernel/flow.js'
import { writeVersion1 } from './version1.js'
import { writeVersion2 } from './version2.js'

export type ProxyVersion = 'v1' | 'v2'

/** The header that tells a server who its client is. @param flow client → the address that it connected to */
export function writeProxyHeader(version: ProxyVersion, flow: FlowKey): Buffer {
  return version === 'v1' ? writeVersion1(flow) : writeVersion2(flow)
}
