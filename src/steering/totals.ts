import type { BpfMap } from '../kernel/bpf.js'
import { readU64, totalsLayout } from './layout.js'
import type { SteeringStats } from './types.js'

const at = totalsLayout.offsets

export type ProgramTotals = Pick<
  SteeringStats,
  | 'steeredPackets'
  | 'steeredBytes'
  | 'parkedPackets'
  | 'icmpErrors'
  | 'lingerSyns'
  | 'unknownPackets'
  | 'unknownDropped'
  | 'provenFlows'
>

/** The program's own counters, added up over the CPUs. */
export function readTotals(map: BpfMap): ProgramTotals {
  const values = Buffer.alloc(map.valueBytes)
  map.get(Buffer.alloc(4), values)
  const sum = (offset: number): number => {
    let total = 0
    for (let cpu = 0; cpu < values.length; cpu += totalsLayout.size) total += readU64(values, cpu + offset)
    return total
  }
  return {
    steeredPackets: sum(at.steered_packets),
    steeredBytes: sum(at.steered_bytes),
    parkedPackets: sum(at.parked_packets),
    icmpErrors: sum(at.icmp_errors),
    lingerSyns: sum(at.linger_syns),
    unknownPackets: sum(at.unknown_packets),
    unknownDropped: sum(at.unknown_dropped),
    provenFlows: sum(at.proven_flows),
  }
}
