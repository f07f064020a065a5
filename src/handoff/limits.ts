import type { Message } from './messages.js'

/** Protocol versions that this program speaks. */
export const MIN_VERSION = 1
export const MAX_VERSION = 1

export const CHANNEL_PATH = '/baton/v1/channel'
/** The Upgrade tokens that the agent accepts, best first. */
export const UPGRADE_TOKENS: readonly string[] = ['baton/1']

export const KIB = 1024
export const MIB = 1024 * KIB

/** Longest receive or send queue of a snapshot. */
export const MAX_QUEUE_BYTES = 4 * MIB
export const MAX_CONTEXT_BYTES = 4 * KIB
export const MAX_ROUTES_BYTES = MIB
/** Names: ids, pools, listeners, features, the kernel's release. */
export const MAX_NAME_BYTES = 64
export const MAX_REFUSAL_BYTES = KIB
export const MAX_POOLS = 256
export const MAX_FEATURES = 64

/** Header of every frame: u32 length of what follows it, less the type byte itself; u8 type. */
export const HEADER_BYTES = 5

/** Type byte and the longest body of each message. A longer announcement closes the channel before a byte is stored. */
export const frameKinds = {
  hello: { code: 0x01, maxBodyBytes: 32 * KIB },
  ping: { code: 0x02, maxBodyBytes: 4 },
  pong: { code: 0x03, maxBodyBytes: 4 },
  capacity: { code: 0x04, maxBodyBytes: 9 },
  routes: { code: 0x05, maxBodyBytes: MAX_ROUTES_BYTES + 8 },
  offer: { code: 0x10, maxBodyBytes: 2 * MAX_QUEUE_BYTES + 8 * KIB },
  adopted: { code: 0x11, maxBodyBytes: 8 },
  refused: { code: 0x12, maxBodyBytes: 9 + MAX_NAME_BYTES + MAX_REFUSAL_BYTES },
  ask: { code: 0x13, maxBodyBytes: 28 },
  outcome: { code: 0x14, maxBodyBytes: 9 },
  park: { code: 0x20, maxBodyBytes: 44 },
  parked: { code: 0x21, maxBodyBytes: 9 },
  unpark: { code: 0x22, maxBodyBytes: 44 },
  closed: { code: 0x23, maxBodyBytes: 75 + MAX_CONTEXT_BYTES },
  claim: { code: 0x24, maxBodyBytes: 44 },
  claimed: { code: 0x25, maxBodyBytes: 45 },
} as const satisfies Record<Message['type'], { code: number; maxBodyBytes: number }>

/** Longest body by type byte; 0 where no message has that byte. */
export const maxBodyByCode = new Uint32Array(256)
for (const kind of Object.values(frameKinds)) maxBodyByCode[kind.code] = kind.maxBodyBytes
