import { type CpuSeconds, cpuSeconds, minus, total } from '../cpu.js'
import { counterOf } from './scrape.js'
import type { Stage, Way } from './stage.js'

export interface Load {
  readonly seconds: number
  readonly handoffs: number
  readonly handoffsPerSecond: number
  readonly frontendCpu: CpuSeconds
  readonly agentCpu: CpuSeconds
  readonly handoffsPerFrontendCpuSecond: number
  readonly handoffsPerAgentCpuSecond: number
  /** As wrk says: errors of any kind. 0 is expected. */
  readonly errors: number
}

/** What wrk complains of. */
export function wrkErrors(output: string): number {
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)
  const answers = /Non-2xx or 3xx responses: (\d+)/.exec(output)
  return [...(sockets?.slice(1) ?? []), answers?.[1] ?? '0'].reduce((sum, text) => sum + Number(text), 0)
}

/** A load of new connections, each for one answer of 1 KiB. @throws Error when wrk got no answer at all */
export async function load(stage: Stage, way: Way, seconds: number, connections = 32): Promise<Load> {
  const adopted = async () =>
    counterOf(await stage.metrics('frontend'), 'baton_handoffs_total', { result: 'adopted' })
  const url = `http://${way.address}:${way.port}${way.path}`
  const close = ['-H', 'Connection: close']
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '5s', ...close, url]
  const pids = { frontend: stage.pid('frontend'), agent: stage.pid('inline') }
  const before = {
    count: await adopted(),
    frontend: cpuSeconds(pids.frontend),
    agent: cpuSeconds(pids.agent),
  }
  const startedAtMs = performance.now()
  const output = await stage.net.client.run('wrk', args)
  const elapsed = (performance.now() - startedAtMs) / 1000
  const frontendCpu = minus(cpuSeconds(pids.frontend), before.frontend)
  const agentCpu = minus(cpuSeconds(pids.agent), before.agent)
  const handoffs = (await adopted()) - before.count
  if (handoffs === 0) throw new Error(`the load handed nothing over:\n${output}`)
  return {
    seconds: elapsed,
    handoffs,
    handoffsPerSecond: handoffs / elapsed,
    frontendCpu,
    agentCpu,
    handoffsPerFrontendCpuSecond: handoffs / total(frontendCpu),
    handoffsPerAgentCpuSecond: handoffs / total(agentCpu),
    errors: wrkErrors(output),
  }
}
