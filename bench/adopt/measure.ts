import { answeredOf, errorsOf, runClient } from '../client/index.js'
import { threadsNs } from '../cpu.js'
import type { HostCpu } from '../host-cpu/index.js'
import type { Field } from '../peers/field.js'
import { objectPath, type Peer, type PeerName } from '../peers/peer.js'

/** What the client of small answers asks for. */
export const SMALL_BYTES = 1024

/** One download of the large object by curl. */
export interface Download {
  readonly peer: PeerName
  readonly seconds: number
  readonly gbitPerSecond: number
  /** Received and sent by the interface of the frontend's host; 0 where nobody stands between. */
  readonly crossedBytes: number
  /** Milliseconds on a CPU of Baton's processes, packets that interrupted them included. */
  readonly agentMs: number
  readonly frontendMs: number
}

/** curl's own words for a target. */
function curlArgs({ targets }: Peer, bytes: number): string[] {
  const [target] = targets
  if (target === undefined) throw new Error('the peer has no target')
  const { address, port, host } = target
  return ['-sS', '--fail', '-H', `Host: ${host}`, `http://${address}:${port}${objectPath(bytes)}`]
}

const processMs = (pids: readonly number[]): number => threadsNs(pids) / 1e6

function crossed(peer: Peer): number {
  if (peer.host === undefined) return 0
  const { rxBytes, txBytes } = peer.host.counters('eth0')
  return rxBytes + txBytes
}

/** The object once, thrown away as it comes. @throws Error when it did not come whole */
export async function download({ net }: Field, peer: Peer, bytes: number): Promise<Download> {
  const agents = peer.agentPids()
  const frontend = peer.pids()
  const before = { crossed: crossed(peer), agent: processMs(agents), frontend: processMs(frontend) }
  const format = '%{time_total} %{size_download}'
  const args = [...curlArgs(peer, bytes), '-o', '/dev/null', '-w', format]
  const output = await net.client.run('curl', args, { timeoutMs: 120_000 })
  const [seconds = Number.NaN, got = 0] = output.split(' ').map(Number)
  if (got !== bytes) throw new Error(`${peer.title}: ${got} of ${bytes} bytes came`)
  return {
    peer: peer.name,
    seconds,
    gbitPerSecond: (bytes * 8) / seconds / 1e9,
    crossedBytes: crossed(peer) - before.crossed,
    agentMs: processMs(agents) - before.agent,
    frontendMs: processMs(frontend) - before.frontend,
  }
}

/** The sha256 of what comes. */
export async function digest({ net }: Field, peer: Peer, bytes: number): Promise<string> {
  const script = 'set -o pipefail; curl "$@" | sha256sum'
  const args = ['-c', script, 'curl', ...curlArgs(peer, bytes)]
  return (await net.client.run('bash', args, { timeoutMs: 120_000 })).slice(0, 64)
}

/** Milliseconds of CPU for one download, by host, with packets told from what they interrupted: see HostCpu. */
export interface Accounted {
  readonly peer: PeerName
  readonly agentMs: number
  readonly frontendMs: number
  readonly frontendPacketsMs: number
}

export async function account(field: Field, cpu: HostCpu, peer: Peer, bytes: number): Promise<Accounted> {
  const agents = peer.agentPids()
  const { host } = peer
  const read = async () => {
    const now = await cpu.read()
    const interrupting = agents.reduce((sum, pid) => sum + now.interrupting(pid), 0)
    return {
      agent: processMs(agents) - interrupting * 1e3,
      frontend: host === undefined ? 0 : now.of(host) * 1e3,
      packets: host === undefined ? 0 : now.packetsOf(host) * 1e3,
    }
  }
  const before = await read()
  await download(field, peer, bytes)
  const after = await read()
  return {
    peer: peer.name,
    agentMs: after.agent - before.agent,
    frontendMs: after.frontend - before.frontend,
    frontendPacketsMs: after.packets - before.packets,
  }
}

/** Microseconds to the first byte of a small answer, a connection each, by every peer in turn. */
export async function firstBytes(field: Field, count: number): Promise<Map<PeerName, readonly number[]>> {
  const result = await runClient(field.net.client, {
    to: field.peers.map(({ targets }) => ({ ...targets[0]!, path: objectPath(SMALL_BYTES) })),
    count: count * field.peers.length,
    loop: { kind: 'closed', connections: 1 },
  })
  if (errorsOf(result) > 0) throw new Error(`first bytes: ${JSON.stringify(result.errors)}`)
  return new Map(field.peers.map(({ name }, index) => [name, result.targets[index]?.firstByteUs ?? []]))
}

export interface Rate {
  readonly peer: PeerName
  readonly perSecond: number
  readonly errors: number
}

/** Small answers, a connection each, as fast as it goes. */
export async function rate(
  { net }: Field,
  { name, targets }: Peer,
  from: readonly string[],
  seconds: number,
): Promise<Rate> {
  const result = await runClient(net.client, {
    to: targets.map((target) => ({ ...target, path: objectPath(SMALL_BYTES) })),
    seconds,
    loop: { kind: 'closed', connections: 32 },
    from,
    samples: 0,
  })
  return { peer: name, perSecond: answeredOf(result) / result.seconds, errors: errorsOf(result) }
}
