/** Not a power of two, so that a block lost or doubled never matches by chance. */
const PERIOD = 1_000_003

function randomBytes(seed: number): Buffer {
  const bytes = Buffer.alloc(PERIOD)
  let state = seed * 0x9e3779b9
  for (let index = 0; index < PERIOD; index++) {
    // mulberry32
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    bytes[index] = mixed >>> 24
  }
  return bytes
}

const periods = new Map<number, Buffer>()

/** An endless stream of pseudo-random bytes: the bytes from `offset` on, at most `length`, at least one. */
export function streamBytes(seed: number, offset: number, length: number): Buffer {
  let period = periods.get(seed)
  if (period === undefined) {
    period = randomBytes(seed)
    periods.set(seed, period)
  }
  const from = offset % PERIOD
  return period.subarray(from, Math.min(from + length, PERIOD))
}
