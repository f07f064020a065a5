/** Up to here a loop that is inlined is faster than a call into Node, above all one that comes to cold caches. */
const SHORT_BYTES = 512

/** Copies a part of `from` to `at`. @returns the offset after it @throws RangeError for a long part that does not fit */
export function putBytes(to: Buffer, at: number, from: Buffer, start = 0, length = from.length): number {
  if (length > SHORT_BYTES) to.set(length === from.length ? from : from.subarray(start, start + length), at)
  else for (let index = 0; index < length; index++) to[at + index] = from[start + index]!
  return at + length
}

/** A part of `bytes` in a buffer of its own. */
export function copyOf(bytes: Buffer, start: number, length: number): Buffer {
  const copy = Buffer.allocUnsafe(length)
  putBytes(copy, 0, bytes, start, length)
  return copy
}
