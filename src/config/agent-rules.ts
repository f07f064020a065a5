import type { AgentFile } from './agent-schema.js'
import { canonicalAddress } from './endpoint.js'
import { refuseTwice } from './frontend-rules.js'
import type { Reporter } from './problems.js'

/** What the schema cannot say of an agent.yaml. */
export function checkAgent(file: AgentFile, inProgram: boolean, report: Reporter): void {
  if (file.deliver.kind === 'inline' && !inProgram) {
    report.error(
      ['deliver', 'kind'],
      'inline is for createAgent() inside a Node program; expected http, tcp or adopt',
    )
  }
  refuseTwice(
    file.vips.map((vip, index) => ({ value: canonicalAddress(vip), path: ['vips', index] })),
    (vip) => `${vip} stands here twice`,
    report,
  )
  refuseTwice(
    file.pools.map((pool, index) => ({ value: pool, path: ['pools', index] })),
    (pool) => `"${pool}" stands here twice`,
    report,
  )
  for (const [index, vip] of file.vips.entries()) {
    if (canonicalAddress(vip) === '0.0.0.0' || canonicalAddress(vip) === '::') {
      report.error(['vips', index], `${vip} is no address that a client connects to`)
    }
  }
  const { address } = file.control
  const vips = file.vips.map(canonicalAddress)
  if (vips.includes(canonicalAddress(address.address))) {
    report.error(['control', 'address'], `${address.address} is a VIP: frontends would dial themselves`)
  }
  const everywhere = address.address === '0.0.0.0' || address.address === '::'
  if (file.registry.kind === 'redis' && everywhere) {
    report.error(
      ['control', 'address'],
      `${address.address} cannot be announced in Redis: expected the address that frontends dial`,
    )
  }
  if (file.address !== undefined && vips.includes(canonicalAddress(file.address.address))) {
    report.error(['address'], `${file.address.address} is a VIP: frontends would relay to themselves`)
  }
}
