import { endingLayout } from './adopt-layout.js'
import { takeU32, takeU64 } from './host-order.js'

/** How an adopted connection ended, as the kernel tells it. */
export interface Ending {
  readonly id: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  readonly cause: 'client' | 'backend'
}

export function readEnding(from: Buffer, offset: number): Ending {
  const { by_client, id, bytes_in, bytes_out, lived_ns } = endingLayout.offsets
  return {
    id: takeU64(from, offset + id),
    bytesIn: takeU64(from, offset + bytes_in),
    bytesOut: takeU64(from, offset + bytes_out),
    durationMs: Math.round(takeU64(from, offset + lived_ns) / 1e6),
    cause: takeU32(from, offset + by_client) === 0 ? 'backend' : 'client',
  }
}
