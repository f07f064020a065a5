import { type Endpoint, parseEndpoint } from '../kernel/flow.js'

/** One TCP socket of a host, as `ss` tells it. */
export interface SocketRow {
  /** `ESTAB`, `LISTEN`, `TIME-WAIT`, `CLOSE-WAIT` … */
  readonly state: string
  readonly receiveQueueBytes: number
  readonly sendQueueBytes: number
  /** Port 0 and address 0.0.0.0 or :: stand for any. */
  readonly local: Endpoint
  readonly peer: Endpoint
  /** The rest of ss's line: `cubic wscale:7,7 rto:204 … retrans:0/1`. */
  readonly details: string
}

/** Parses `ss -HtanOi`: one line a socket. Lines that are no socket are left out. */
export function parseSockets(text: string): SocketRow[] {
  const rows: SocketRow[] = []
  for (const line of text.split('\n')) {
    const [state, receive, send, local, peer, ...details] = line.trim().split(/\s+/)
    const here = local === undefined ? undefined : endpoint(local)
    const there = peer === undefined ? undefined : endpoint(peer)
    if (state === undefined || here === undefined || there === undefined) continue
    rows.push({
      state,
      receiveQueueBytes: Number(receive),
      sendQueueBytes: Number(send),
      local: here,
      peer: there,
      details: details.join(' '),
    })
  }
  return rows
}

/** `10.0.0.1%eth0:80`, `[::ffff:10.0.0.1]:80`, `*:80`, `[::]:*`. */
function endpoint(text: string): Endpoint | undefined {
  const colon = text.lastIndexOf(':')
  const port = text.slice(colon + 1)
  let address = text.slice(0, colon).replace(/%[^\]]*/, '')
  if (address === '*') address = '[::]'
  return parseEndpoint(`${address}:${port === '*' ? '0' : port}`)
}

/** Ports in state LISTEN by /proc/net/tcp or tcp6, without a child process. */
export function listeningPorts(procText: string): Set<number> {
  const ports = new Set<number>()
  for (const line of procText.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/)
    if (fields[3] === '0A') ports.add(Number.parseInt((fields[1] ?? '').split(':')[1] ?? '', 16))
  }
  return ports
}
