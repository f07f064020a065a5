import { type FlowKey, parseFlowKey } from '../kernel/flow.js'

/** The words by which ss(8) finds this host's socket of a flow. */
export function socketsOf(flow: FlowKey): string[] {
  const { client, vip } = parseFlowKey(flow)
  const near = ['src', vip.address, 'sport', '=', `:${vip.port}`]
  return [...near, 'dst', client.address, 'dport', '=', `:${client.port}`]
}
