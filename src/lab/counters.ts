/** What an interface has carried. A TCP super-frame (GSO) on a veth counts as one packet. */
export interface InterfaceCounters {
  readonly rxBytes: number
  readonly rxPackets: number
  readonly rxDropped: number
  readonly txBytes: number
  readonly txPackets: number
  readonly txDropped: number
}

/** Reads one interface's line of /proc/net/dev; undefined when it is not there. */
export function parseNetDev(text: string, name: string): InterfaceCounters | undefined {
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 0 || line.slice(0, colon).trim() !== name) continue
    const fields = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/)
      .map(Number)
    const at = (index: number): number => fields[index] ?? 0
    return {
      rxBytes: at(0),
      rxPackets: at(1),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txDropped: at(11),
    }
  }
  return undefined
}

/**
 * Reads /proc/net/snmp or /proc/net/netstat: pairs of lines, names above values.
 * The result is keyed like `Tcp.RetransSegs`, `Tcp.OutRsts`, `TcpExt.TCPTimeouts`.
 */
export function parseSnmp(text: string): Record<string, number> {
  const counters: Record<string, number> = {}
  const lines = text.trim().split('\n')
  for (let index = 0; index + 1 < lines.length; index += 2) {
    const names = (lines[index] ?? '').split(/\s+/)
    const values = (lines[index + 1] ?? '').split(/\s+/)
    const group = (names[0] ?? '').replace(':', '')
    for (let column = 1; column < names.length; column++) {
      counters[`${group}.${names[column]}`] = Number(values[column])
    }
  }
  return counters
}

/** What grew between two readings: only the counters that changed. */
export function changed(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  const grown: Record<string, number> = {}
  for (const [name, value] of Object.entries(after)) {
    const difference = value - (before[name] ?? 0)
    if (difference !== 0) grown[name] = difference
  }
  return grown
}

/**
 * Segments sent again because they were lost or held to be lost, out of what {@link changed} gives
 * (net/ipv4/tcp_output.c, tcp_timer.c, tcp_input.c). Tcp.RetransSegs would also count tail loss probes (RFC 8985, section 7)
 * that repaired nothing, and on a link of 50 µs a busy machine alone provokes those: it sends a probe before the answer to
 * the first copy was dealt with, and the other end says that it had both (DSACK, RFC 2883).
 */
export function retransmissions(counters: Readonly<Record<string, number>>): number {
  const of = (name: string) => counters[`TcpExt.${name}`] ?? 0
  const repaired = Math.max(0, of('TCPLossProbeRecovery') - of('TCPDSACKRecvSegs'))
  return of('TCPFastRetrans') + of('TCPSlowStartRetrans') + of('TCPTimeouts') + repaired
}
