import { checkAdopt } from './adopt.js'
import { checkAgentNetwork } from './agent-network.js'
import type { AgentFacts, FrontendFacts } from './facts.js'
import type { Finding } from './finding.js'
import { checkFrontendNetwork } from './frontend-network.js'
import { interfaces } from './interfaces.js'
import { checkKernel } from './kernel.js'
import { checkAgentPeers, checkFrontendPeers } from './peers.js'
import { renderTable } from './render.js'

export type { AgentFacts, FrontendFacts } from './facts.js'
export type { Finding, Verdict } from './finding.js'

export interface DoctorOptions {
  /** With a configuration, also what that role needs here; without any, what every host needs. */
  readonly frontend?: FrontendFacts
  readonly agent?: AgentFacts
  /** One line: `{ ok, findings: [{ area, name, verdict, found, fix }] }`. */
  readonly json: boolean
  /** Default: process.stdout. Colour only where it is a terminal. */
  readonly output?: { write(text: string): unknown; readonly isTTY?: boolean }
}

/** Everything that is to be said about this host, in order. Changes nothing. */
export async function examine(options: Pick<DoctorOptions, 'frontend' | 'agent'>): Promise<Finding[]> {
  const { frontend, agent } = options
  // An agent alone restores connections; only frontends steer. Without a role, everything is of interest.
  const steering = agent === undefined || frontend?.steering !== undefined
  const findings = await checkKernel({ steering })
  if (frontend === undefined && agent === undefined) return findings
  const present = await interfaces()
  if (frontend !== undefined) {
    findings.push(...(await checkFrontendNetwork(frontend, present)), ...(await checkFrontendPeers(frontend)))
  }
  if (agent !== undefined) {
    findings.push(
      ...checkAdopt(agent),
      ...checkAgentNetwork(agent, present),
      ...(await checkAgentPeers(agent)),
    )
  }
  return findings
}

/** Prints what {@link examine} finds. @returns the exit code: 1 where anything fails */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const findings = await examine(options)
  const output = options.output ?? process.stdout
  const ok = findings.every((finding) => finding.verdict !== 'fail')
  if (options.json) output.write(`${JSON.stringify({ ok, findings })}\n`)
  else output.write(renderTable(findings, output.isTTY === true))
  return ok ? 0 : 1
}
